"""Public ids: unguessable, prefixed by what they name. Integer keys order rows; public ids name them outside."""

import secrets


def public_id(prefix: str) -> str:
    """A fresh id such as ``msg_5f0c…``: 96 random bits in hexadecimal, usable in a path or a query."""
    return f"{prefix}_{secrets.token_hex(12)}"


def dated_public_id(prefix: str, now: int) -> str:
    """As :func:`public_id`, of the time (ms) and 80 random bits: for rows written so often that their ids must lie side by side
    in their index, which else has one page to write for each.
    """
    return f"{prefix}_{now:012x}{secrets.token_hex(10)}"
