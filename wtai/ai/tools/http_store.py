"""SQL of an owner's own tools, and the rules that one has to keep to be saved."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic_core import PydanticSerializationError, to_json

from wtai.ai.agent import HANDOFF_PREFIX
from wtai.ai.tools.schema import SchemaProblem, arguments_of
from wtai.ai.tools.tool import Effect
from wtai.db.tx import OwnerTx, Row
from wtai.egress import Egress, EgressRefused
from wtai.errors import NotFound, WtaiError
from wtai.ids import public_id
from wtai.secrets import Sealer
from wtai.standard_webhooks import SecretError, check_secret, new_secret

SECRET_FIELD: Final = "http_tools.secret"  # noqa: S105 - the name of a column
MAX_TIMEOUT_SECONDS: Final = 30.0

_MAX_DESCRIPTION: Final = 1_000
_MAX_PARAMETERS_BYTES: Final = 8_192
_NO_UNICODE: Final = "half a character of UTF-16 stands in it; send whole ones"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TOOLS: Final = "SELECT public_id, name, description, parameters, url, secret, effect, timeout_seconds FROM http_tools"


class InvalidHttpTool(WtaiError):
    """A tool cannot be saved like this. ``pointer`` is the place in the draft (RFC 6901), such as /parameters/type."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{pointer}: {message}")
        self.pointer = pointer


@dataclass(frozen=True, slots=True)
class HttpToolDraft:
    """What an owner says of a tool. ``parameters`` is the JSON schema of its arguments. Without ``secret`` the tool keeps the one
    it has, or gets a new one.
    """

    name: str
    description: str
    parameters: Mapping[str, object]
    url: str
    effect: Effect
    timeout_seconds: float = 10.0
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class HttpTool:
    """A saved tool. ``parameters`` is JSON, ``secret`` is sealed."""

    public_id: str
    name: str
    description: str
    parameters: str
    url: str
    secret: str = field(repr=False)
    effect: Effect
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Saved:
    """``new_secret`` is the signing secret if one was made: to be shown once, it is not told again."""

    tool: HttpTool
    new_secret: str | None = field(repr=False)


def save_http_tool(
    tx: OwnerTx, draft: HttpToolDraft, *, sealer: Sealer, egress: Egress, built_in: Collection[str], now: int
) -> Saved:
    """Save a tool, in place of the owner's tool of the same name. InvalidHttpTool.

    ``built_in`` are the names of the program's own tools, which stay theirs.
    """
    parameters = _checked(draft, egress, built_in)
    known = tx.one(f"{_TOOLS} WHERE owner_id = :owner AND name = :name", name=draft.name)
    fresh = new_secret() if draft.secret is None and known is None else None
    secret = draft.secret or fresh
    rows = tx.all(
        """
        INSERT INTO http_tools (owner_id, public_id, name, description, parameters, url, secret, effect, timeout_seconds,
            created_at, updated_at)
        VALUES (:owner, :public_id, :name, :description, :parameters, :url, :secret, :effect, :timeout_seconds, :now, :now)
        ON CONFLICT (owner_id, name) DO UPDATE SET description = excluded.description, parameters = excluded.parameters,
            url = excluded.url, secret = excluded.secret, effect = excluded.effect,
            timeout_seconds = excluded.timeout_seconds, updated_at = excluded.updated_at
        RETURNING public_id, name, description, parameters, url, secret, effect, timeout_seconds
        """,
        public_id=public_id("tool"),
        name=draft.name,
        description=draft.description,
        parameters=parameters,
        url=draft.url,
        secret=known["secret"] if known is not None and secret is None else sealer.seal(tx.owner_id, SECRET_FIELD, str(secret)),
        effect=draft.effect,
        timeout_seconds=draft.timeout_seconds,
        now=now,
    )
    return Saved(_http_tool(rows[0]), fresh)


def http_tools(tx: OwnerTx) -> tuple[HttpTool, ...]:
    """The owner's tools, by name."""
    rows = tx.all(f"{_TOOLS} WHERE owner_id = :owner ORDER BY name")
    return tuple(_http_tool(row) for row in rows)


def delete_http_tool(tx: OwnerTx, name: str) -> None:
    """Forget a tool; specialists that name it go on without. NotFound."""
    if not tx.run("DELETE FROM http_tools WHERE owner_id = :owner AND name = :name", name=name):
        raise NotFound(f"no HTTP tool {name}")


def public_ids(tx: OwnerTx, conversation_id: int) -> tuple[str, str]:
    """What a conversation and its user are called outside: (user, conversation). NotFound."""
    row = tx.one(
        """
        SELECT u.public_id AS person, c.public_id AS conversation
        FROM conversations c JOIN users u ON u.owner_id = c.owner_id AND u.id = c.user_id
        WHERE c.owner_id = :owner AND c.id = :id
        """,
        id=conversation_id,
    )
    if row is None:
        raise NotFound(f"no conversation with key {conversation_id}")
    return row["person"], row["conversation"]


def _checked(draft: HttpToolDraft, egress: Egress, built_in: Collection[str]) -> str:
    """The draft's parameters as JSON, everything else being right as well. InvalidHttpTool."""
    if not _NAME.fullmatch(draft.name):
        raise InvalidHttpTool("/name", "take lower case letters, digits and underscores, a letter first, up to 64")
    if draft.name in built_in or draft.name.startswith(HANDOFF_PREFIX):
        raise InvalidHttpTool("/name", f"{draft.name} belongs to the program; take another name")
    if not draft.description.strip() or len(draft.description) > _MAX_DESCRIPTION:
        raise InvalidHttpTool("/description", f"say what it does and when to use it, in up to {_MAX_DESCRIPTION} characters")
    if not 0 < draft.timeout_seconds <= MAX_TIMEOUT_SECONDS:
        raise InvalidHttpTool("/timeout_seconds", f"take more than 0 and up to {MAX_TIMEOUT_SECONDS:g} seconds")
    try:
        draft.description.encode()
        egress.check(draft.url)
        if draft.secret is not None:
            check_secret(draft.secret)
    except UnicodeEncodeError:
        raise InvalidHttpTool("/description", _NO_UNICODE) from None
    except EgressRefused as error:
        raise InvalidHttpTool("/url", str(error)) from None
    except SecretError as error:
        raise InvalidHttpTool("/secret", str(error)) from None
    return _parameters(draft)


def _parameters(draft: HttpToolDraft) -> str:
    try:
        parameters = to_json(draft.parameters)
    except PydanticSerializationError:
        raise InvalidHttpTool("/parameters", _NO_UNICODE) from None
    if len(parameters) > _MAX_PARAMETERS_BYTES:
        raise InvalidHttpTool("/parameters", f"write the schema shorter, in up to {_MAX_PARAMETERS_BYTES} bytes of JSON")
    try:
        arguments_of(draft.name, draft.parameters)
    except SchemaProblem as error:
        raise InvalidHttpTool(f"/parameters{error.pointer}", error.message) from None
    return parameters.decode()


def _http_tool(row: Row) -> HttpTool:
    return HttpTool(**{**row, "effect": Effect(row["effect"])})
