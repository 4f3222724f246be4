"""What each command of `netspec` does; nothing here is imported before a command needs it."""
