"""Numbered SQL, applied once, in order."""
