"""Who may do what: one table of actions, and the principals it is asked about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from wtai.errors import WtaiError


class Role(StrEnum):
    """What a person is: an owner's administrator or agent, its customer, or one who runs the machine."""

    ADMIN = "admin"
    AGENT = "agent"
    USER = "user"
    PLATFORM = "platform"


_ADMIN: Final = frozenset({Role.ADMIN})
_STAFF: Final = frozenset({Role.ADMIN, Role.AGENT})
_PLATFORM: Final = frozenset({Role.PLATFORM})
_ADMIN_PLATFORM: Final = _ADMIN | _PLATFORM
_ALL: Final = _STAFF | _PLATFORM

ACTIONS: Final[Mapping[str, frozenset[Role]]] = {
    # oneself
    "me.read": _ALL,
    "me.update": _ALL,
    "sessions.read": _ALL,
    "sessions.delete": _ALL,
    # tenants; an owner reads itself and sets its preferences, the platform does the rest
    "owners.list": _PLATFORM,
    "owners.create": _PLATFORM,
    "owners.read": _ALL,
    "owners.update": _ADMIN_PLATFORM,
    "owners.disable": _PLATFORM,
    "owners.delete": _PLATFORM,
    "plans.read": _ADMIN_PLATFORM,
    "plans.create": _PLATFORM,
    "plans.update": _PLATFORM,
    "plans.delete": _PLATFORM,
    "subscription.read": _ADMIN_PLATFORM,
    "subscription.update": _PLATFORM,
    # staff, and the people who write to them
    "users.read": _ALL,
    "users.create": _ADMIN_PLATFORM,
    "users.update": _ADMIN_PLATFORM,
    "users.delete": _ADMIN_PLATFORM,
    "end_users.read": _STAFF,
    "end_users.update": _STAFF,
    "end_users.delete": _ADMIN,
    "end_users.export": _ADMIN,
    "api_tokens.read": _ADMIN_PLATFORM,
    "api_tokens.create": _ADMIN_PLATFORM,
    "api_tokens.delete": _ADMIN_PLATFORM,
    "audit.read": _ADMIN_PLATFORM,
    # what the AI is and may
    "features.read": _ALL,
    "features.update": _ADMIN_PLATFORM,
    "features.delete": _ADMIN_PLATFORM,
    "http_tools.read": _ADMIN,
    "http_tools.update": _ADMIN,
    "http_tools.delete": _ADMIN,
    "channel_accounts.read": _ADMIN_PLATFORM,
    "channel_accounts.create": _ADMIN_PLATFORM,
    "channel_accounts.update": _ADMIN_PLATFORM,
    "channel_accounts.delete": _ADMIN_PLATFORM,
    # the inbox: its contents are the owner's alone, the platform has no part in them
    "conversations.read": _STAFF,
    "conversations.take_over": _STAFF,
    "conversations.resume": _STAFF,
    "conversations.close": _STAFF,
    "conversations.note": _STAFF,
    "messages.read": _STAFF,
    "messages.create": _STAFF,
    "ai_results.read": _STAFF,
    "memories.read": _STAFF,
    "memories.delete": _STAFF,
    "templates.read": _STAFF,
    "templates.create": _ADMIN,
    "templates.update": _ADMIN,
    "templates.delete": _ADMIN,
    "canned_replies.read": _STAFF,
    "canned_replies.update": _ADMIN,
    # what runs, what it costs, who is told
    "jobs.read": _ADMIN_PLATFORM,
    "jobs.retry": _ADMIN_PLATFORM,
    "jobs.delete": _ADMIN_PLATFORM,
    "usage.read": _ADMIN_PLATFORM,
    "webhook_endpoints.read": _ADMIN,
    "webhook_endpoints.create": _ADMIN,
    "webhook_endpoints.update": _ADMIN,
    "webhook_endpoints.delete": _ADMIN,
    "webhook_endpoints.replay": _ADMIN,
}
"""Action → the roles that may. End users log in nowhere, so no action is theirs."""

EVERYTHING: Final = "all"
EVERY_READ: Final = "read"


class TokenRefused(WtaiError):
    """A token is not, or no longer, good for anything. The message is for the log: whoever sent it learns nothing of it."""


class UnknownScope(WtaiError):
    """A scope is no action and no group of actions, or is more than who grants it has."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. ``id`` is the public id of the user or API token; ``session`` that of a user's log-in.

    ``user_id`` is the key of the user, for a token of the user who made it (None: made at the machine). ``scopes`` are the
    actions a token is confined to; None: all that the role has.
    """

    kind: Literal["user", "token"]
    id: str
    owner_id: int
    role: Role
    user_id: int | None
    session: str | None = None
    scopes: frozenset[str] | None = None


def allowed(principal: Principal, action: str) -> bool:
    """Whether the table lets ``principal`` do ``action``. KeyError if the table has no such action."""
    return principal.role in ACTIONS[action] and (principal.scopes is None or action in principal.scopes)


def actions_of(scopes: Iterable[str]) -> frozenset[str]:
    """The actions that ``scopes`` name: one action, a resource such as ``conversations``, ``read`` or ``all``. UnknownScope."""
    return frozenset(action for scope in scopes for action in _expanded(scope))


def check_grant(principal: Principal, role: Role, scopes: Iterable[str]) -> None:
    """UnknownScope unless ``principal`` may make a token of ``role`` with ``scopes``: no token can do more than its maker.

    Of a group, what the role could never do is left out; an action that is named must be one of the role's.
    """
    if role is not principal.role and (principal.role, role) != (Role.ADMIN, Role.AGENT):
        raise UnknownScope(f"a token of role {role} cannot be made by role {principal.role}")
    check_scopes(role, scopes)
    beyond = sorted(one for one in actions_of(scopes) if role in ACTIONS[one] and not allowed(principal, one))
    if beyond:
        raise UnknownScope(f"more than its maker may do: {', '.join(beyond)}")


def check_scopes(role: Role, scopes: Iterable[str]) -> None:
    """UnknownScope unless every scope is known and holds something that ``role`` may do."""
    for scope in scopes:
        if not any(role in ACTIONS[action] for action in actions_of([scope])):
            raise UnknownScope(f"{scope} is nothing that role {role} may do")


def _expanded(scope: str) -> Iterable[str]:
    if scope == EVERYTHING:
        return ACTIONS
    if scope in ACTIONS:
        return (scope,)
    found = [action for action in ACTIONS if action.startswith(f"{scope}.") or (scope == EVERY_READ and action.endswith(".read"))]
    if not found:
        known = sorted({action.partition(".")[0] for action in ACTIONS})
        raise UnknownScope(
            f"no scope {scope!r}; there are {EVERYTHING}, {EVERY_READ}, {', '.join(known)}, and each single action"
        )
    return found
