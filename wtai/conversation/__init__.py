"""Inbox, outbox, lifecycle: what was said and what is owed."""
