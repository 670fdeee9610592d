"""Commands: parse arguments, call the program or one function."""
