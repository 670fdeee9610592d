"""Twilio accounts and their numbers. Tokens go in and never come out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from wtai.channels import accounts
from wtai.channels.views_store import account_row, account_rows, remove_account, remove_address
from wtai.db.tx import OwnerTx
from wtai.web.api.accounts import NewAccount, NewNumber, TokensGiven, connect_account, connect_number, tokens_of
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import BLANK, Form, lines, read, sent
from wtai.web.console.settings.frame import PLACE, over, show
from wtai.web.console.settings.words import Refused
from wtai.web.problems import Problem
from wtai.web.webhooks import inbound_address

_PATH: Final = f"{PLACE}/numbers"
_ONE: Final = f"{_PATH}/{{account}}"
_TOKENS: Final = ("auth_token", "secondary_token")


async def numbers(visit: Visit) -> web.StreamResponse:
    """All accounts, what to tell Twilio, and the form for one more."""
    return await _listed(visit, BLANK)


async def connect(visit: Visit) -> web.StreamResponse:
    """An account with its numbers."""

    async def work(given: Mapping[str, str]) -> web.Response:
        said = read(NewAccount, given, numbers=lines(given.get("numbers", "")))

        def write(tx: OwnerTx) -> None:
            with _pointed(visit):
                connect_account(tx, visit.means.sealer, said, now=visit.now)

        await visit.audited("channel_accounts.create", said.account_sid, write)
        return over(visit, _PATH, "connected")

    return await sent(visit, work, lambda form: _listed(visit, form), hidden=_TOKENS)


async def account(visit: Visit) -> web.StreamResponse:
    """One of them."""
    return await _one(visit, BLANK)


async def rotate(visit: Visit) -> web.StreamResponse:
    """Other tokens; they count within five seconds."""

    async def work(given: Mapping[str, str]) -> web.Response:
        sid, said = visit.ids["account"], read(TokensGiven, given)

        def write(tx: OwnerTx) -> None:
            accounts.connect(tx, visit.means.sealer, account_row(tx, sid).account_sid, tokens_of(said), [], now=visit.now)

        await visit.audited("channel_accounts.update", sid, write)
        return over(visit, f"{_PATH}/{sid}", "saved")

    return await sent(visit, work, lambda form: _one(visit, form), hidden=_TOKENS)


async def disconnect(visit: Visit) -> web.StreamResponse:
    """With its tokens and numbers: what is written to them is refused from then on."""
    sid = visit.ids["account"]
    await visit.audited("channel_accounts.delete", sid, lambda tx: remove_account(tx, sid))
    return over(visit, _PATH, "disconnected")


async def add_number(visit: Visit) -> web.StreamResponse:
    """Once the plan has room."""

    async def work(given: Mapping[str, str]) -> web.Response:
        sid, said = visit.ids["account"], read(NewNumber, given)

        def write(tx: OwnerTx) -> None:
            with _pointed(visit):
                connect_number(tx, account_row(tx, sid).account_sid, said.number, "/number", now=visit.now)

        await visit.audited("channel_accounts.update", sid, write)
        return over(visit, f"{_PATH}/{sid}", "connected")

    return await sent(visit, work, lambda form: _one(visit, form))


async def drop_number(visit: Visit) -> web.StreamResponse:
    """What is written to it is refused from then on."""
    sid, number = visit.ids["account"], (await visit.form()).get("number", "")

    def write(tx: OwnerTx) -> None:
        remove_address(tx, account_row(tx, sid).account_sid, number)

    await visit.audited("channel_accounts.delete", number, write)
    return over(visit, f"{_PATH}/{sid}", "disconnected")


@contextmanager
def _pointed(visit: Visit) -> Iterator[None]:
    """Says at its field what is connected already."""
    try:
        yield
    except Problem as exc:
        name = exc.faults[0].pointer.split("/")[1]
        ours = visit.text("This account is connected already: add numbers to it, or give it other tokens, on its page.")
        elsewhere = visit.text("This number is connected to somebody else with this account.")
        raise Refused(name, ours if name == "account_sid" else elsewhere) from exc


async def _listed(visit: Visit, form: Form) -> web.Response:
    rows = await visit.read(account_rows, limit=-1)
    return show(visit, "numbers.html", _PATH, status=form.status, form=form, accounts=rows, **_told(visit))


async def _one(visit: Visit, form: Form) -> web.Response:
    row = await visit.read(account_row, visit.ids["account"])
    return show(visit, "number.html", _PATH, status=form.status, form=form, account=row, **_told(visit))


def _told(visit: Visit) -> dict[str, object]:
    """What to tell Twilio, and whether it can reach us there."""
    address = inbound_address(visit.means.public_url)
    return {"address_of_webhook": address, "reachable": visit.means.settings.server.public_url is not None}


PAGES = (
    Page("GET", _PATH, numbers, "channel_accounts.read"),
    Page("POST", _PATH, connect, "channel_accounts.create"),
    Page("GET", _ONE, account, "channel_accounts.read"),
    Page("POST", f"{_ONE}/delete", disconnect, "channel_accounts.delete"),
    Page("POST", f"{_ONE}/tokens", rotate, "channel_accounts.update"),
    Page("POST", f"{_ONE}/numbers", add_number, "channel_accounts.update"),
    Page("POST", f"{_ONE}/numbers/delete", drop_number, "channel_accounts.delete"),
)
