"""The documentation: every command in it is read or run, by one mechanism."""
