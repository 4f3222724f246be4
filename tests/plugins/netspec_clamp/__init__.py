"""An op from outside netspec: its definition, and a lowering for each backend beside it."""
