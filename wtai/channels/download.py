"""How a channel hands over what a person attached."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from wtai.channels.channel import Account
from wtai.errors import WtaiError

_LONGEST_NAME: Final = 80
_UNSEEN: Final = ("C", "Z")
"""Categories of Unicode: control, format (which turns the direction of text), unassigned; separators."""
_MISLEADING: Final = str.maketrans({"[": "(", "]": ")", "/": "_", "\\": "_"})


class MediaError(WtaiError):
    """An attachment was not downloaded. The message holds no URL: that of the CDN is a credential."""


class MediaRefused(MediaError):
    """It never will be: address, host, size or encoding is not allowed, or it is gone."""


class MediaUnavailable(MediaError):
    """It may be later: time-out, connection, a refused log-in, 429 or 5xx."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """``content_type`` is what the last hop said, without parameters; nothing was sniffed. ``size`` in bytes.

    ``name`` is what its sender called the file, fit to be shown; None where the provider does not tell.
    """

    content_type: str
    size: int
    name: str | None = None


class Download(Protocol):
    """Fetches attachments of one provider."""

    async def download(self, account: Account, media_url: str, write: Callable[[bytes], object]) -> Downloaded:
        """Pass the attachment to ``write`` piece by piece. MediaRefused or MediaUnavailable."""


def shown_name(said: str | None) -> str | None:
    """The name of a file as it may stand in a text: on one line, as long as a name is, without signs that hide or reorder."""
    if said is None:
        return None
    seen = "".join(" " if unicodedata.category(sign)[0] in _UNSEEN else sign for sign in said)
    name = " ".join(seen.split()).translate(_MISLEADING)
    if len(name) > _LONGEST_NAME:
        stem, dot, ending = name.rpartition(".")
        ending = dot + ending if stem and len(ending) < 8 else ""
        name = f"{name[: _LONGEST_NAME - len(ending) - 1]}…{ending}"
    return name or None
