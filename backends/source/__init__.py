"""What the source backends share: formulas as Python, and a plan of classes and loops."""
