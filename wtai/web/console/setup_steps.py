"""After the first administrator: connect a number, and wait for the first message."""

import re
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from wtai.channels import accounts
from wtai.channels.store import numbers
from wtai.channels.twilio.webhook import webhook_url
from wtai.conversation.views_store import ConversationRow, MessageRow, conversation_row, message_rows
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.identity.quota import QuotaReached
from wtai.web.console.dispatch import SETUP
from wtai.web.console.page import Page, Visit
from wtai.web.console.setup import NUMBER

FIRST: Final = f"{SETUP}/first"

_SID: Final = re.compile(r"AC[0-9a-f]{32}")
_TOKEN: Final = re.compile(r"[!-~]{16,256}")
_PHONE: Final = re.compile(r"\+[0-9]{8,15}")
_PUNCTUATION: Final = re.compile(r"[\s().-]")
_CHANNELS: Final = {"whatsapp": "whatsapp:", "sms": ""}


async def number(visit: Visit) -> web.StreamResponse:
    """Connect a number; on to the next step, if there is one."""
    if await visit.read(numbers):
        return visit.go(FIRST)
    return _form(visit, {"channel": "whatsapp"}, {})


async def connect(visit: Visit) -> web.StreamResponse:
    """Connect it. What is wrong is told beside its field; the token is never shown again."""
    form = await visit.form()
    given = {field: form.get(field, "").strip() for field in ("sid", "token", "number", "channel")}
    phone = _PUNCTUATION.sub("", given["number"].removeprefix("whatsapp:"))
    wrong = {field: "form" for field, pattern in (("sid", _SID), ("token", _TOKEN)) if not pattern.fullmatch(given[field])}
    if not _PHONE.fullmatch(phone) or given["channel"] not in _CHANNELS:
        wrong["number"] = "form"
    if wrong:
        return _form(visit, given, wrong)
    address = _CHANNELS[given["channel"]] + phone

    def work(tx: OwnerTx) -> None:
        accounts.connect(tx, visit.means.sealer, given["sid"], [given["token"]], [address], now=visit.now)

    try:
        await visit.audited("channel_accounts.create", given["sid"], work)
    except NotFound:
        return _form(visit, given, {"number": "taken"})
    except QuotaReached:
        return _form(visit, given, {"number": "quota"})
    return visit.go(FIRST)


async def first(visit: Visit) -> web.StreamResponse:
    """Wait for the first message; as a part, what is known of it."""
    through = await visit.means.live.newest()
    heard = await visit.read(_first)
    if visit.is_partial:
        return visit.page("setup/waiting.html", heard=heard)
    return visit.page(
        "setup/first.html",
        section="setup",
        through=through,
        heard=heard,
        addresses=[address for _, address in await visit.read(numbers)],
        webhook=webhook_url(visit.means.public_url),
        is_public=visit.means.settings.server.public_url is not None,
    )


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that came in, and the conversation that it is in."""

    message: MessageRow
    conversation: ConversationRow


def _first(tx: OwnerTx) -> Heard | None:
    found = message_rows(tx, direction="inbound", limit=1)
    return Heard(found[0], conversation_row(tx, found[0].conversation)) if found else None


def _form(visit: Visit, given: dict[str, str], wrong: dict[str, str]) -> web.Response:
    values = {field: given.get(field, "") for field in ("sid", "number", "channel")}
    return visit.page(
        "setup/number.html",
        status=422 if wrong else 200,
        section="setup",
        given=values,
        wrong=wrong,
        webhook=webhook_url(visit.means.public_url),
        is_public=visit.means.settings.server.public_url is not None,
    )


PAGES = (
    Page("GET", NUMBER, number, "channel_accounts.create"),
    Page("POST", NUMBER, connect, "channel_accounts.create"),
    Page("GET", FIRST, first, "channel_accounts.read"),
)
