"""Which node departs, where a result disagrees.

A value is recognised by what it holds, whatever it is called and in whichever layout, so one search
serves torch, Keras and every ONNX file.
"""
