"""How what machines wrote is laid out for people."""

import json


def laid_out(text: str) -> str:
    """JSON with a line for each member; what is none, as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except ValueError:
        return text
