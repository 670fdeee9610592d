"""After the first administrator: connect a number, and wait for the first message."""

import re
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from pydantic import ValidationError

from wtai.channels.store import numbers
from wtai.conversation.views_store import ConversationRow, MessageRow, conversation_row, message_rows
from wtai.db.tx import OwnerTx
from wtai.identity.quota import QuotaReached
from wtai.web.api.accounts import NewAccount, connect_account
from wtai.web.console.dispatch import SETUP
from wtai.web.console.page import Page, Visit
from wtai.web.console.setup import NUMBER
from wtai.web.problems import Problem
from wtai.web.webhooks import inbound_address

FIRST: Final = f"{SETUP}/first"

_PHONE: Final = re.compile(r"\+[0-9]{8,15}")
_PUNCTUATION: Final = re.compile(r"[\s().-]")
_PREFIXES: Final = {"whatsapp": "whatsapp:", "sms": ""}
_FIELDS: Final = {"account_sid": "sid", "auth_token": "token", "numbers": "number"}
"""Where the form has what the API's model has."""


async def number(visit: Visit) -> web.StreamResponse:
    """Connect a number; on to the next step, if there is one."""
    if await visit.read(numbers):
        return visit.go(FIRST)
    return _form(visit, {"channel": "whatsapp"}, {})


async def connect(visit: Visit) -> web.StreamResponse:
    """Connect it. What is wrong is told beside its field; the token is never shown again."""
    form = await visit.form()
    given = {field: form.get(field, "").strip() for field in ("sid", "token", "number", "channel")}
    phone = _PUNCTUATION.sub("", given["number"])
    wrong = {} if _PHONE.fullmatch(phone) and given["channel"] in _PREFIXES else {"number": "form"}
    address = _PREFIXES.get(given["channel"], "") + phone
    try:
        said = NewAccount.model_validate({"account_sid": given["sid"], "auth_token": given["token"], "numbers": [address]})
    except ValidationError as exc:
        wrong = {**{_FIELDS[str(error["loc"][0])]: "form" for error in exc.errors()}, **wrong}
    if wrong:
        return _form(visit, given, wrong)
    try:
        await visit.audited(
            "channel_accounts.create",
            said.account_sid,
            lambda tx: connect_account(tx, visit.means.sealer, said, now=visit.now),
        )
    except Problem as problem:
        return _form(visit, given, {_FIELDS[fault.pointer.split("/")[1]]: "taken" for fault in problem.faults})
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
        webhook=inbound_address(visit.means.public_url),
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
        webhook=inbound_address(visit.means.public_url),
        is_public=visit.means.settings.server.public_url is not None,
    )


PAGES = (
    Page("GET", NUMBER, number, "channel_accounts.create"),
    Page("POST", NUMBER, connect, "channel_accounts.create"),
    Page("GET", FIRST, first, "channel_accounts.read"),
)
