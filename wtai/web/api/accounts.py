"""Twilio accounts of an owner, with their numbers. Tokens go in and never come out."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from wtai.channels import accounts
from wtai.channels.views_store import AccountRow, account_row, account_rows, remove_account, remove_address
from wtai.db.tx import OwnerTx
from wtai.secrets import Sealer
from wtai.web.api.call import Call
from wtai.web.api.models import Given, Identified, Page, Paging, at
from wtai.web.api.route import ROOT, Route
from wtai.web.problems import CONFLICT, QUOTA, Fault, Problem

_TAG = "twilio-accounts"
_PATH = f"{ROOT}/twilio-accounts"
_ONE = f"{_PATH}/{{account}}"

Address = Annotated[
    str,
    Field(
        pattern=r"^(whatsapp:\+?[A-Za-z0-9.]{3,130}|\+[0-9]{5,15})$",
        max_length=150,
        description="whatsapp:+5511… or, for SMS, +5511…",
    ),
]
Token = Annotated[str, Field(min_length=16, max_length=256, pattern=r"^[!-~]+$")]


class TokensGiven(Given):
    """The account's auth token; the secondary one while it is being promoted."""

    auth_token: Token
    secondary_token: Token | None = None


class NewAccount(TokensGiven):
    """An account, and the numbers to connect."""

    account_sid: Annotated[str, Field(pattern=r"^AC[0-9a-f]{32}$")]
    numbers: Annotated[list[Address], Field(max_length=50)]


class NewNumber(Given):
    """A number to connect."""

    number: Address


class AccountView(Identified):
    """An account: ``id`` is its SID. Its tokens are not shown."""

    numbers: list[str]
    created_at: datetime


async def list_accounts(call: Call[None, Paging]) -> Page[AccountView]:
    """The oldest first."""
    rows = await call.read(account_rows, after=(call.after(1) or (0,))[0], limit=call.limit + 1)
    return call.page(Page[AccountView], rows, _shown, lambda row: (row.id,))


async def read_account(call: Call[None, None]) -> AccountView:
    """One of them."""
    return _shown(await call.read(account_row, call.ids["account"]))


async def connect(call: Call[NewAccount, None]) -> AccountView:
    """An account that is connected already keeps its numbers, and cannot be connected again."""

    def work(tx: OwnerTx) -> AccountView:
        return _shown(connect_account(tx, call.means.sealer, call.body, now=call.now))

    return await call.commit(work)


async def rotate(call: Call[TokensGiven, None]) -> AccountView:
    """Other tokens; they count within five seconds."""

    def work(tx: OwnerTx) -> AccountView:
        row = account_row(tx, call.ids["account"])
        accounts.connect(tx, call.means.sealer, row.account_sid, tokens_of(call.body), [], now=call.now)
        return _shown(row)

    return await call.commit(work)


async def disconnect(call: Call[None, None]) -> None:
    """With its tokens and numbers: what is written to them is refused from then on."""

    def work(tx: OwnerTx) -> None:
        remove_account(tx, call.ids["account"])

    await call.commit(work)


async def add_number(call: Call[NewNumber, None]) -> AccountView:
    """Once the plan has room."""

    def work(tx: OwnerTx) -> AccountView:
        row = account_row(tx, call.ids["account"])
        connect_number(tx, row.account_sid, call.body.number, "/number", now=call.now)
        return _shown(account_row(tx, row.account_sid))

    return await call.commit(work)


async def drop_number(call: Call[None, None]) -> None:
    """What is written to it is refused from then on."""

    def work(tx: OwnerTx) -> None:
        remove_address(tx, account_row(tx, call.ids["account"]).account_sid, call.ids["number"])

    await call.commit(work)


def connect_account(tx: OwnerTx, sealer: Sealer, given: NewAccount, *, now: int) -> AccountRow:
    """A new account with its numbers. Problem if it is connected already, or one of them is elsewhere; QuotaReached."""
    sid = given.account_sid
    if any(row.account_sid == sid for row in account_rows(tx, limit=-1)):
        raise _taken("/account_sid", "the account is connected already; give it other tokens or more numbers")
    accounts.connect(tx, sealer, sid, tokens_of(given), [], now=now)
    for index, number in enumerate(given.numbers):
        connect_number(tx, sid, number, f"/numbers/{index}", now=now)
    return account_row(tx, sid)


def connect_number(tx: OwnerTx, account_sid: str, address: str, where: str, *, now: int) -> None:
    """One more number of an account. Problem, pointing at ``where``, if it is connected elsewhere; QuotaReached."""
    if not accounts.connect_number(tx, account_sid, address, now=now):
        raise _taken(where, "the number is connected elsewhere")


def _taken(where: str, what: str) -> Problem:
    return Problem(CONFLICT, what, [Fault(where, what)])


def tokens_of(given: TokensGiven) -> list[str]:
    """The primary first."""
    return [given.auth_token, *([given.secondary_token] if given.secondary_token is not None else [])]


def _shown(row: AccountRow) -> AccountView:
    return AccountView(id=row.account_sid, numbers=list(row.addresses), created_at=at(row.created_at))


ROUTES = (
    Route(
        "GET",
        _PATH,
        list_accounts,
        "List Twilio accounts",
        _TAG,
        {200: Page[AccountView]},
        action="channel_accounts.read",
        query=Paging,
        of_tenants=True,
    ),
    Route(
        "POST",
        _PATH,
        connect,
        "Connect a Twilio account",
        _TAG,
        {201: AccountView},
        action="channel_accounts.create",
        body=NewAccount,
        problems=(CONFLICT, QUOTA),
        of_tenants=True,
        location=f"{_PATH}/{{id}}",
    ),
    Route(
        "GET",
        _ONE,
        read_account,
        "Read a Twilio account",
        _TAG,
        {200: AccountView},
        action="channel_accounts.read",
        of_tenants=True,
    ),
    Route(
        "DELETE",
        _ONE,
        disconnect,
        "Disconnect a Twilio account",
        _TAG,
        {204: None},
        action="channel_accounts.delete",
        of_tenants=True,
    ),
    Route(
        "PUT",
        f"{_ONE}/tokens",
        rotate,
        "Give a Twilio account other tokens",
        _TAG,
        {200: AccountView},
        action="channel_accounts.update",
        body=TokensGiven,
        of_tenants=True,
    ),
    Route(
        "POST",
        f"{_ONE}/numbers",
        add_number,
        "Connect a number",
        _TAG,
        {200: AccountView},
        action="channel_accounts.update",
        body=NewNumber,
        problems=(CONFLICT, QUOTA),
        of_tenants=True,
    ),
    Route(
        "DELETE",
        f"{_ONE}/numbers/{{number}}",
        drop_number,
        "Disconnect a number",
        _TAG,
        {204: None},
        action="channel_accounts.delete",
        of_tenants=True,
    ),
)
