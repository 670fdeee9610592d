"""Owners, users and who they are."""
