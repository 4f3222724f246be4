"""What workers run, named by text: a module for each framework and task, and what these share."""
