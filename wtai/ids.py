"""Public ids: unguessable, prefixed by what they name. Integer keys order rows; public ids name them outside."""

import secrets


def public_id(prefix: str) -> str:
    """A fresh id such as ``msg_5f0c…``: 96 random bits in hexadecimal, usable in a path or a query."""
    return f"{prefix}_{secrets.token_hex(12)}"
