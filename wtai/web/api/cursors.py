"""Cursors of lists: a position that only we can have written, good for the list it came from and for no other."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Final

from pydantic import TypeAdapter

from wtai.secrets import Sealer
from wtai.web.problems import MALFORMED, Fault, Problem

Position = tuple[int, ...]
"""The sort key of the last item that was shown."""

_PURPOSE: Final = "cursors"
_MAC_BYTES: Final = 16
_POSITION: Final = TypeAdapter(list[int])


class Cursors:
    """Writes and reads cursors. ``context`` is what a cursor is good for: the list, whose it is, and its filters."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def write(self, position: Position, context: Mapping[str, str]) -> str:
        """The cursor behind ``position``."""
        said = json.dumps(list(position), separators=(",", ":")).encode()
        key = next(iter(self._sealer.derived(_PURPOSE).values()))
        return urlsafe_b64encode(_mac(key, said, context) + said).decode().rstrip("=")

    def read(self, cursor: str, context: Mapping[str, str], length: int) -> Position:
        """The position of ``length`` numbers a cursor stands for. Problem unless it is ours, and of this list."""
        try:
            whole = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except ValueError as exc:
            raise _none_of_this_list() from exc
        mac, said = whole[:_MAC_BYTES], whole[_MAC_BYTES:]
        keys = self._sealer.derived(_PURPOSE).values()
        if not any(hmac.compare_digest(mac, _mac(key, said, context)) for key in keys):
            raise _none_of_this_list()
        position = tuple(_POSITION.validate_json(said))
        if len(position) != length:
            raise _none_of_this_list()
        return position


def _none_of_this_list() -> Problem:
    fault = Fault("cursor", "take `next` of the page before, with the same filters")
    return Problem(MALFORMED, "the cursor is none of this list", [fault])


def _mac(key: bytes, said: bytes, context: Mapping[str, str]) -> bytes:
    bound = json.dumps(sorted(context.items())).encode()
    return hmac.digest(key, bound + b"\0" + said, "sha256")[:_MAC_BYTES]
