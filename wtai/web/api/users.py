"""The people who log in: staff of an owner, or the platform's own."""

from datetime import datetime
from typing import Literal

from wtai.db.tx import PLATFORM, OwnerTx
from wtai.errors import NotFound
from wtai.identity import users_store
from wtai.identity.access import Role
from wtai.identity.audit_store import audit
from wtai.identity.model import User
from wtai.identity.passwords import check_password
from wtai.identity.registration import add_user, give_password, give_role, let
from wtai.web.api.call import Call
from wtai.web.api.errors import wrong
from wtai.web.api.models import Email, Given, Line, NewPassword, Page, Paging, Versioned, at
from wtai.web.api.route import ROOT, Route
from wtai.web.problems import CONFLICT, QUOTA

_TAG = "users"
_PATH = f"{ROOT}/users"
_ONE = f"{_PATH}/{{user}}"

StaffRole = Literal["admin", "agent", "platform"]


class NewUser(Given):
    """Someone who may log in. ``platform`` is the role of the platform's people, and theirs alone."""

    email: Email
    password: NewPassword
    role: StaffRole
    name: Line | None = None


class UserChange(Given):
    """What is absent stays as it is."""

    name: Line | None = None
    role: StaffRole | None = None


class PasswordChange(Given):
    """The new one: at least ten characters, and none that everybody tries first."""

    password: NewPassword


class UserView(Versioned):
    """Someone who may log in."""

    email: str
    name: str | None
    role: StaffRole
    status: Literal["active", "disabled"]
    created_at: datetime


async def list_users(call: Call[None, Paging]) -> Page[UserView]:
    """The oldest first."""
    rows = await call.read(users_store.staff, after=(call.after(1) or (0,))[0], limit=call.limit + 1)
    return call.page(Page[UserView], rows, shown, lambda row: (row.id,))


async def create_user(call: Call[NewUser, None]) -> UserView:
    """Once the plan has room."""
    given = call.body
    role = fitting_role(given.role, call.owner_id)
    check_password(given.password, (given.email,))
    hashed = await call.means.passwords.hashed(given.password)

    def work(tx: OwnerTx) -> UserView:
        return shown(add_user(tx, role, given.name, given.email, hashed, actor=call.actor, now=call.now))

    return await call.commit(work)


async def read_user(call: Call[None, None]) -> UserView:
    """One of them."""
    return shown(await call.read(staff_of, call.ids["user"]))


async def change_user(call: Call[UserChange, None]) -> UserView:
    """Another role voids their access tokens, and the API tokens they made."""
    given = call.body
    role = None if given.role is None else fitting_role(given.role, call.owner_id)

    def work(tx: OwnerTx) -> UserView:
        user = staff_of(tx, call.ids["user"])
        name = user.name if given.name is None else given.name
        changed = users_store.rename_user(tx, user, name, version=call.if_match, now=call.now)
        if role is not None and role is not user.role:
            changed = give_role(tx, changed, role, actor=call.actor, now=call.now)
        audit(tx, call.actor, "users.update", user.public_id, now=call.now)
        return shown(changed)

    return await call.commit(work)


async def set_password(call: Call[PasswordChange, None]) -> UserView:
    """Ends all their sessions, but for the one it is done in."""
    check_password(call.body.password)
    hashed = await call.means.passwords.hashed(call.body.password)

    def work(tx: OwnerTx) -> UserView:
        user = staff_of(tx, call.ids["user"])
        check_password(call.body.password, (user.email or "", user.name or ""))
        kept = call.principal.session
        return shown(give_password(tx, user, hashed, kept_session=kept, version=call.if_match, actor=call.actor, now=call.now))

    return await call.commit(work)


async def disable(call: Call[None, None]) -> UserView:
    """Their sessions and the API tokens they made end."""

    def work(tx: OwnerTx) -> UserView:
        user = staff_of(tx, call.ids["user"])
        return shown(let(tx, user, "disabled", version=call.if_match, actor=call.actor, now=call.now))

    return await call.commit(work)


async def enable(call: Call[None, None]) -> UserView:
    """They may log in again."""

    def work(tx: OwnerTx) -> UserView:
        user = staff_of(tx, call.ids["user"])
        return shown(let(tx, user, "active", version=call.if_match, actor=call.actor, now=call.now))

    return await call.commit(work)


def staff_of(tx: OwnerTx, public: str) -> User:
    """Someone of the owner who may log in. NotFound, for its customers too."""
    user = users_store.user_of_public_id(tx, public)
    if user.email is None:
        raise NotFound(f"{public} is a customer")
    return user


def shown(user: User) -> UserView:
    """A user as the API shows it."""
    return UserView.model_validate(
        {
            "id": user.public_id,
            "version": user.version,
            "email": user.email,
            "name": user.name,
            "role": user.role.value,
            "status": user.status,
            "created_at": at(user.created_at),
        }
    )


def fitting_role(role: StaffRole, owner_id: int) -> Role:
    """Problem unless this owner has people of this role."""
    if (role == "platform") != (owner_id == PLATFORM):
        raise wrong("/role", "must be platform for the platform's people, and admin or agent for an owner's")
    return Role(role)


ROUTES = (
    Route("GET", _PATH, list_users, "List who may log in", _TAG, {200: Page[UserView]}, action="users.read", query=Paging),
    Route(
        "POST",
        _PATH,
        create_user,
        "Add someone who may log in",
        _TAG,
        {201: UserView},
        action="users.create",
        body=NewUser,
        problems=(CONFLICT, QUOTA),
        audits_itself=True,
        location=f"{_PATH}/{{id}}",
    ),
    Route("GET", _ONE, read_user, "Read a user", _TAG, {200: UserView}, action="users.read"),
    Route(
        "PATCH",
        _ONE,
        change_user,
        "Change a user's name and role",
        _TAG,
        {200: UserView},
        action="users.update",
        body=UserChange,
        problems=(CONFLICT,),
        needs_if_match=True,
        audits_itself=True,
    ),
    Route(
        "PUT",
        f"{_ONE}/password",
        set_password,
        "Give a user another password",
        _TAG,
        {200: UserView},
        action="users.update",
        body=PasswordChange,
        audits_itself=True,
    ),
    Route(
        "POST",
        f"{_ONE}/disable",
        disable,
        "Shut a user out",
        _TAG,
        {200: UserView},
        action="users.delete",
        problems=(CONFLICT,),
        audits_itself=True,
    ),
    Route(
        "POST",
        f"{_ONE}/enable",
        enable,
        "Let a user in again",
        _TAG,
        {200: UserView},
        action="users.update",
        problems=(QUOTA,),
        audits_itself=True,
    ),
)
