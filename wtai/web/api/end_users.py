"""The people who write: an owner's customers."""

from datetime import datetime
from typing import Literal

from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.identity import users_store
from wtai.identity.model import User
from wtai.privacy.erase import Receipt
from wtai.web.api.call import Call
from wtai.web.api.models import Given, Line, Page, Paging, Versioned, at
from wtai.web.api.route import ROOT, Route

_TAG = "end-users"
_PATH = f"{ROOT}/end-users"
_ONE = f"{_PATH}/{{user}}"


class EndUserChange(Given):
    """A name that staff call them by; their profile's takes its place with their next message."""

    name: Line


class EndUserView(Versioned):
    """A customer, with every address they wrote from."""

    name: str | None
    addresses: list[str]
    status: Literal["active", "disabled"]
    created_at: datetime


async def list_end_users(call: Call[None, Paging]) -> Page[EndUserView]:
    """The oldest first."""

    def work(tx: OwnerTx, after: int) -> list[tuple[User, list[str]]]:
        users = users_store.end_users(tx, after=after, limit=call.limit + 1)
        return [(user, users_store.addresses_of(tx, user)) for user in users]

    rows = await call.read(work, (call.after(1) or (0,))[0])
    return call.page(Page[EndUserView], rows, lambda row: _shown(*row), lambda row: (row[0].id,))


async def read_end_user(call: Call[None, None]) -> EndUserView:
    """One of them."""

    def work(tx: OwnerTx) -> EndUserView:
        user = customer(tx, call.ids["user"])
        return _shown(user, users_store.addresses_of(tx, user))

    return await call.read(work)


async def change_end_user(call: Call[EndUserChange, None]) -> EndUserView:
    """Another name."""

    def work(tx: OwnerTx) -> EndUserView:
        user = customer(tx, call.ids["user"])
        changed = users_store.rename_user(tx, user, call.body.name, version=call.if_match, now=call.now)
        return _shown(changed, users_store.addresses_of(tx, user))

    return await call.commit(work)


async def erase(call: Call[None, None]) -> Receipt:
    """For good, with everything that is kept of them; the answer is the receipt, which names nobody."""
    person = await call.read(customer, call.ids["user"])
    return await call.means.eraser.erase_user(call.owner_id, person.public_id, call.actor, rewrite="by the job")


def customer(tx: OwnerTx, public: str) -> User:
    """A customer of the owner. NotFound, for its staff too."""
    user = users_store.user_of_public_id(tx, public)
    if user.email is not None:
        raise NotFound(f"{public} is staff")
    return user


def _shown(user: User, addresses: list[str]) -> EndUserView:
    return EndUserView.model_validate(
        {
            "id": user.public_id,
            "version": user.version,
            "name": user.name,
            "addresses": addresses,
            "status": user.status,
            "created_at": at(user.created_at),
        }
    )


ROUTES = (
    Route(
        "GET",
        _PATH,
        list_end_users,
        "List the people who write",
        _TAG,
        {200: Page[EndUserView]},
        action="end_users.read",
        query=Paging,
    ),
    Route("GET", _ONE, read_end_user, "Read one of them", _TAG, {200: EndUserView}, action="end_users.read"),
    Route(
        "PATCH",
        _ONE,
        change_end_user,
        "Call one of them by another name",
        _TAG,
        {200: EndUserView},
        action="end_users.update",
        body=EndUserChange,
        needs_if_match=True,
    ),
    Route(
        "DELETE",
        _ONE,
        erase,
        "Erase one of them",
        _TAG,
        {200: Receipt},
        action="end_users.delete",
        audits_itself=True,
    ),
)
