"""The team: who may log in, and as what. A password that is made here is shown once."""

import secrets
from collections.abc import Mapping
from typing import Final, Literal

from aiohttp import web

from wtai.db.tx import OwnerTx
from wtai.identity import users_store
from wtai.identity.access import Role
from wtai.identity.audit_store import audit
from wtai.identity.model import User
from wtai.identity.plans_store import limits_of
from wtai.identity.registration import add_user, give_password, give_role, let
from wtai.web.api.models import Email, Given, Line
from wtai.web.api.users import staff_of
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import BLANK, Form, read, sent, version_of
from wtai.web.console.settings.frame import PLACE, over, show

_PATH: Final = f"{PLACE}/team"
_ONE: Final = f"{_PATH}/{{user}}"
_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"
"""Without those that are taken for one another."""


class Colleague(Given):
    """Someone to be let in, or to be changed."""

    role: Literal["admin", "agent"]
    name: Line | None = None


class Invited(Colleague):
    """Someone to be let in."""

    email: Email


async def team(visit: Visit) -> web.StreamResponse:
    """Everybody who may log in, and the invitation of one more."""
    return await _listed(visit, BLANK)


async def invite(visit: Visit) -> web.StreamResponse:
    """Make a user with a password that is shown once."""

    async def work(given: Mapping[str, str]) -> web.Response:
        said = read(Invited, given)
        users_store.check_email(said.email)
        password = new_password()
        hashed = await visit.means.passwords.hashed(password)
        role = Role(said.role)
        made = await visit.write(add_user, role, said.name, said.email, hashed, actor=visit.actor, now=visit.now)
        return _once(visit, made, password, invited=True)

    return await sent(visit, work, lambda form: _listed(visit, form))


async def member(visit: Visit) -> web.StreamResponse:
    """One of them."""
    return await _one(visit, BLANK)


async def change(visit: Visit) -> web.StreamResponse:
    """Another name or role; with the role go their access tokens, and the API tokens they made."""

    async def work(given: Mapping[str, str]) -> web.Response:
        said = read(Colleague, given)

        def write(tx: OwnerTx) -> None:
            user = staff_of(tx, visit.ids["user"])
            changed = users_store.rename_user(tx, user, said.name, version=version_of(given), now=visit.now)
            if said.role != user.role:
                give_role(tx, changed, Role(said.role), actor=visit.actor, now=visit.now)
            audit(tx, visit.actor, "users.update", user.public_id, now=visit.now)

        await visit.write(write)
        return over(visit, _PATH, "saved")

    return await sent(visit, work, lambda form: _one(visit, form))


async def reset_password(visit: Visit) -> web.StreamResponse:
    """A new password, shown once; all their sessions end."""

    async def work(given: Mapping[str, str]) -> web.Response:
        await visit.read(staff_of, visit.ids["user"])
        password = new_password()
        hashed = await visit.means.passwords.hashed(password)

        def write(tx: OwnerTx) -> User:
            user = staff_of(tx, visit.ids["user"])
            kept = visit.principal.session if user.public_id == visit.user.public_id else None
            version = version_of(given)
            return give_password(tx, user, hashed, kept_session=kept, version=version, actor=visit.actor, now=visit.now)

        return _once(visit, await visit.write(write), password, invited=False)

    return await sent(visit, work, lambda form: _one(visit, form))


async def disable(visit: Visit) -> web.StreamResponse:
    """Their sessions and the API tokens they made end."""
    return await _let(visit, "disabled", "off")


async def enable(visit: Visit) -> web.StreamResponse:
    """They may log in again."""
    return await _let(visit, "active", "on")


async def _let(visit: Visit, status: Literal["active", "disabled"], done: str) -> web.Response:
    async def work(given: Mapping[str, str]) -> web.Response:
        def write(tx: OwnerTx) -> None:
            user = staff_of(tx, visit.ids["user"])
            let(tx, user, status, version=version_of(given), actor=visit.actor, now=visit.now)

        await visit.write(write)
        return over(visit, _PATH, done)

    return await sent(visit, work, lambda form: _one(visit, form))


def new_password() -> str:
    """Sixteen letters and digits, in fours: 80 bits that can be read out."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))


def _once(visit: Visit, user: User, password: str, *, invited: bool) -> web.Response:
    return show(visit, "team_password.html", _PATH, member=user, password=password, invited=invited)


async def _listed(visit: Visit, form: Form) -> web.Response:
    def read_all(tx: OwnerTx) -> tuple[list[User], int | None]:
        return users_store.staff(tx), limits_of(tx).users

    members, most = await visit.read(read_all)
    return show(visit, "team.html", _PATH, status=form.status, form=form, members=members, most=most)


async def _one(visit: Visit, form: Form) -> web.Response:
    found = await visit.read(staff_of, visit.ids["user"])
    return show(visit, "team_member.html", _PATH, status=form.status, form=form, member=found)


PAGES = (
    Page("GET", _PATH, team, "users.create"),
    Page("POST", _PATH, invite, "users.create"),
    Page("GET", _ONE, member, "users.update"),
    Page("POST", _ONE, change, "users.update"),
    Page("POST", f"{_ONE}/password", reset_password, "users.update"),
    Page("POST", f"{_ONE}/disable", disable, "users.delete"),
    Page("POST", f"{_ONE}/enable", enable, "users.update"),
)
