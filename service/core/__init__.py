"""The rules, without any I/O; imports the standard library only."""
