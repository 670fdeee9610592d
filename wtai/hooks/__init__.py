"""Outbound webhooks: endpoints of owners, and how what they are owed is brought to them."""
