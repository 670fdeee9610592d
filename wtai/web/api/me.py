"""Oneself: who one is, one's sessions, and one's password."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.identity.model import User
from wtai.identity.passwords import check_password
from wtai.identity.registration import give_password
from wtai.identity.sessions_store import Session, revoke_session, sessions_of
from wtai.identity.store import owner
from wtai.identity.users_store import user_of_public_id
from wtai.web.api.call import Call
from wtai.web.api.errors import wrong
from wtai.web.api.models import Given, Identified, NewPassword, Page, Paging, at
from wtai.web.api.route import ROOT, Route
from wtai.web.problems import FORBIDDEN, Problem

_TAG = "me"


class MeView(Identified):
    """Who asks: a user, or an API token with its scopes."""

    kind: Literal["user", "token"]
    owner: str
    role: str
    name: str | None
    email: str | None
    scopes: list[str] | None


class OwnPassword(Given):
    """The password in force, and the one to be."""

    current: Annotated[str, Field(min_length=1, max_length=1024)]
    password: NewPassword


class SessionView(Identified):
    """A log-in that is not over; ``current`` is the one that asks."""

    address: str | None
    current: bool
    created_at: datetime
    refreshed_at: datetime
    ends_at: datetime


async def read_me(call: Call[None, None]) -> MeView:
    """Who asks."""

    def work(tx: OwnerTx) -> MeView:
        user = user_of_public_id(tx, call.principal.id) if call.principal.kind == "user" else None
        scopes = call.principal.scopes
        return MeView(
            id=call.principal.id,
            kind=call.principal.kind,
            owner=owner(tx).public_id,
            role=call.principal.role.value,
            name=user.name if user else None,
            email=user.email if user else None,
            scopes=None if scopes is None else sorted(scopes),
        )

    return await call.read(work)


async def change_password(call: Call[OwnPassword, None]) -> None:
    """All other sessions end."""
    user = await call.read(_myself, call.principal.id, call.principal.kind)
    check_password(call.body.password, (user.email or "", user.name or ""))
    if not await call.means.sessions.check_own_password(call.principal, call.body.current):
        raise wrong("/current", "is not the password")
    hashed = await call.means.passwords.hashed(call.body.password)

    def work(tx: OwnerTx) -> None:
        now_is = user_of_public_id(tx, call.principal.id)
        kept = call.principal.session
        give_password(tx, now_is, hashed, kept_session=kept, version=user.version, actor=call.actor, now=call.now)

    await call.commit(work)


async def list_sessions(call: Call[None, Paging]) -> Page[SessionView]:
    """The newest first."""

    def work(tx: OwnerTx) -> list[Session]:
        return sessions_of(tx, _myself(tx, call.principal.id, call.principal.kind), now=call.now)

    current = call.principal.session
    before = (call.after(1) or (1 << 62,))[0]
    rows = [session for session in await call.read(work) if session.id < before]
    return call.page(Page[SessionView], rows, lambda row: _session(row, current), lambda row: (row.id,))


async def end_session(call: Call[None, None]) -> None:
    """One's own alone."""

    def work(tx: OwnerTx) -> None:
        mine = sessions_of(tx, _myself(tx, call.principal.id, call.principal.kind), now=call.now)
        if call.ids["session"] not in {session.public_id for session in mine}:
            raise NotFound("no session of this user")
        revoke_session(tx, call.ids["session"], reason="ended by its user", actor=call.actor, now=call.now)

    await call.commit(work)


def _myself(tx: OwnerTx, public: str, kind: str) -> User:
    if kind != "user":
        raise Problem(FORBIDDEN, "an API token has no sessions and no password")
    return user_of_public_id(tx, public)


def _session(session: Session, current: str | None) -> SessionView:
    return SessionView(
        id=session.public_id,
        address=session.address,
        current=session.public_id == current,
        created_at=at(session.created_at),
        refreshed_at=at(session.refreshed_at),
        ends_at=at(min(session.idle_until, session.ends_at)),
    )


ROUTES = (
    Route("GET", f"{ROOT}/me", read_me, "Read who asks", _TAG, {200: MeView}, action="me.read"),
    Route(
        "PUT",
        f"{ROOT}/me/password",
        change_password,
        "Change one's own password",
        _TAG,
        {204: None},
        action="me.update",
        body=OwnPassword,
        audits_itself=True,
    ),
    Route(
        "GET",
        f"{ROOT}/sessions",
        list_sessions,
        "List one's own sessions",
        _TAG,
        {200: Page[SessionView]},
        action="sessions.read",
        query=Paging,
    ),
    Route(
        "DELETE",
        f"{ROOT}/sessions/{{session}}",
        end_session,
        "End one of one's own sessions",
        _TAG,
        {204: None},
        action="sessions.delete",
        audits_itself=True,
    ),
)
