"""What the forms of a conversation have in common."""

from collections.abc import Mapping
from typing import Final

from wtai.clock import DAY
from wtai.conversation.drafts_store import use_form
from wtai.db.tx import OwnerTx
from wtai.web.api.errors import wrong
from wtai.web.console.page import ROOT

ONE: Final = f"{ROOT}/c/{{conversation}}"
"""The path of a conversation."""

_KINDS: Final = ("reply", "note")
_MOST_TOKEN: Final = 64


def first_time(tx: OwnerTx, form: Mapping[str, str], *, now: int) -> bool:
    """Whether a form comes for the first time: a second click, or a request that is made again, does nothing again. Problem."""
    token = form.get("once", "")
    if not token or len(token) > _MOST_TOKEN:
        raise wrong("once", "must be what the form came with")
    return use_form(tx, token, forget_before=now - DAY, now=now)


def kind_of(form: Mapping[str, str]) -> str:
    """What a draft is to become. Problem."""
    kind = form.get("kind", "")
    if kind not in _KINDS:
        raise wrong("kind", "must be reply or note")
    return kind
