"""The commands, a module or package each, loaded when the command is invoked."""
