"""The measurements of evaluate.py."""
