"""The command line: one small file a command; it parses, calls and prints."""
