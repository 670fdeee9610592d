"""Tools of the specialists, one file per family."""
