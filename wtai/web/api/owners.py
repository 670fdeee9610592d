"""Owners: made and shut out by the platform, read and set by themselves."""

import json
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from wtai.db.tx import OwnerTx, SystemTx
from wtai.identity import store
from wtai.identity.model import Owner
from wtai.identity.passwords import check_password
from wtai.identity.plans_store import DEFAULT_PLAN
from wtai.identity.preferences import Preferences
from wtai.identity.registration import Admin, let_owner, register
from wtai.privacy.erase import Receipt
from wtai.web.api.call import Call
from wtai.web.api.errors import wrong
from wtai.web.api.models import Email, Given, Id, Line, Locale, NewPassword, Page, Paging, Versioned, at
from wtai.web.api.plans import named_plan
from wtai.web.api.route import ROOT, Route
from wtai.web.problems import CONFLICT

_TAG = "owners"
_PATH = f"{ROOT}/owners"
_ONE = f"{_PATH}/{{owner}}"


class FirstAdmin(Given):
    """Who administers a new owner."""

    email: Email
    password: NewPassword
    name: Line | None = None


class NewOwner(Given):
    """A new tenant. ``plan`` is a plan's id; without one it has no limits."""

    name: Line
    locale: Locale = "pt-BR"
    plan: Id | None = None
    admin: FirstAdmin | None = None


class OwnerChange(Given):
    """What is absent stays as it is."""

    name: Line | None = None
    locale: Locale | None = None


class OwnerView(Versioned):
    """A tenant. ``locale`` is the language of what wtai itself says to its customers."""

    name: str
    locale: Locale
    status: Literal["active", "disabled", "erased"]
    created_at: datetime


class PreferencesView(Versioned):
    """``chosen`` is what the owner set, ``in_force`` what follows from it and from the program's settings."""

    chosen: Annotated[dict[str, JsonValue], Field(description="Fields of Preferences.")]
    in_force: Preferences


async def list_owners(call: Call[None, Paging]) -> Page[OwnerView]:
    """The oldest first."""
    rows = await call.database.system_read(store.owners, after=(call.after(1) or (0,))[0], limit=call.limit + 1)
    return call.page(Page[OwnerView], rows, shown, lambda row: (row.id,))


async def create_owner(call: Call[NewOwner, None]) -> OwnerView:
    """With its subscription and first administrator, or not at all."""
    given = call.body
    admin = None
    if given.admin is not None:
        check_password(given.admin.password, (given.admin.email,))
        hashed = await call.means.passwords.hashed(given.admin.password)
        admin = Admin(given.admin.email, hashed, given.admin.name)

    def work(tx: SystemTx) -> OwnerView:
        plan = named_plan(tx, given.plan).name if given.plan is not None else DEFAULT_PLAN
        name = given.name.strip()
        return shown(register(tx, name, given.locale, plan=plan, admin=admin, actor=call.actor, now=call.now).owner)

    return await call.commit_across(work)


async def read_owner(call: Call[None, None]) -> OwnerView:
    """One tenant."""
    return shown(await call.read(store.owner))


async def change_owner(call: Call[OwnerChange, None]) -> OwnerView:
    """Another name, another language."""

    def work(tx: OwnerTx) -> OwnerView:
        before = store.owner(tx)
        name = before.name if call.body.name is None else call.body.name.strip()
        return shown(store.rename_owner(tx, name, call.body.locale or before.locale, version=call.if_match))

    return await call.commit(work)


async def disable(call: Call[None, None]) -> OwnerView:
    """Its webhooks, log-ins and tokens count for nothing until it is enabled again."""

    def work(tx: OwnerTx) -> OwnerView:
        return shown(let_owner(tx, "disabled", version=call.if_match, actor=call.actor, now=call.now))

    return await call.commit(work)


async def enable(call: Call[None, None]) -> OwnerView:
    """Let it in again."""

    def work(tx: OwnerTx) -> OwnerView:
        return shown(let_owner(tx, "active", version=call.if_match, actor=call.actor, now=call.now))

    return await call.commit(work)


async def erase(call: Call[None, None]) -> Receipt:
    """For good, with all its people; the answer is the receipt. Cut short, it is shut out, and to be erased again."""
    return await call.means.eraser.erase_owner(call.owner_id, call.actor, rewrite="by the job")


async def read_preferences(call: Call[None, None]) -> PreferencesView:
    """What the owner chose, and what holds."""
    return await call.read(_preferences, call.means.base)


async def choose(call: Call[Preferences, None]) -> PreferencesView:
    """Exactly what is given is chosen; all else follows the program's settings."""

    def work(tx: OwnerTx) -> PreferencesView:
        try:
            store.choose(tx, call.means.base, call.body.model_dump_json(exclude_unset=True), version=call.if_match)
        except ValueError as exc:
            raise wrong("", str(exc)) from exc
        return _preferences(tx, call.means.base)

    return await call.commit(work)


def shown(owner: Owner) -> OwnerView:
    """An owner as the API shows it."""
    return OwnerView.model_validate(
        {
            "id": owner.public_id,
            "version": owner.version,
            "name": owner.name,
            "locale": owner.locale,
            "status": owner.status,
            "created_at": at(owner.created_at),
        }
    )


def _preferences(tx: OwnerTx, base: Preferences) -> PreferencesView:
    owner = store.owner(tx)
    chosen = json.loads(store.chosen_preferences(tx))
    return PreferencesView(id=owner.public_id, version=owner.version, chosen=chosen, in_force=store.preferences(tx, base))


ROUTES = (
    Route("GET", _PATH, list_owners, "List owners", _TAG, {200: Page[OwnerView]}, action="owners.list", query=Paging),
    Route(
        "POST",
        _PATH,
        create_owner,
        "Register an owner",
        _TAG,
        {201: OwnerView},
        action="owners.create",
        body=NewOwner,
        problems=(CONFLICT,),
        audits_itself=True,
        location=f"{_PATH}/{{id}}",
    ),
    Route("GET", _ONE, read_owner, "Read an owner", _TAG, {200: OwnerView}, action="owners.read"),
    Route(
        "PATCH",
        _ONE,
        change_owner,
        "Change an owner's name and language",
        _TAG,
        {200: OwnerView},
        action="owners.update",
        body=OwnerChange,
        needs_if_match=True,
    ),
    Route("DELETE", _ONE, erase, "Erase an owner", _TAG, {200: Receipt}, action="owners.delete", audits_itself=True),
    Route(
        "POST",
        f"{_ONE}/disable",
        disable,
        "Shut an owner out",
        _TAG,
        {200: OwnerView},
        action="owners.disable",
        audits_itself=True,
    ),
    Route(
        "POST",
        f"{_ONE}/enable",
        enable,
        "Let an owner in again",
        _TAG,
        {200: OwnerView},
        action="owners.disable",
        audits_itself=True,
    ),
    Route(
        "GET",
        f"{_ONE}/preferences",
        read_preferences,
        "Read an owner's preferences",
        _TAG,
        {200: PreferencesView},
        action="owners.read",
    ),
    Route(
        "PUT",
        f"{_ONE}/preferences",
        choose,
        "Set an owner's preferences",
        _TAG,
        {200: PreferencesView},
        action="owners.update",
        body=Preferences,
        needs_if_match=True,
    ),
)
