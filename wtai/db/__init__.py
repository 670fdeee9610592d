"""Transactions, SQLite, migrations."""
