"""Tools of an owner's own: a call is posted, signed, to a URL of the owner's, and what comes back is the result.

The body is JSON: ``tool``, ``call_id``, ``arguments``, and the public ids ``user`` and ``conversation``. It is signed as Standard
Webhooks has it; ``webhook-id``, the same as ``call_id``, tells a receiver the repeat of a call from a new one.
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

import structlog
from pydantic_core import from_json, to_json

from wtai.ai.tools.http_store import SECRET_FIELD, HttpTool, public_ids
from wtai.ai.tools.schema import SchemedArguments, arguments_of
from wtai.ai.tools.tool import AnyTool, Effect, Tool, ToolContext, ToolError
from wtai.clock import Clock
from wtai.db.tx import Database, OwnerTx
from wtai.egress import Egress, EgressError, Response
from wtai.secrets import Sealer
from wtai.standard_webhooks import signed_headers

MAX_ANSWER_BYTES: Final = 65_536

_KEPT: Final = 4_096
_MAX_QUESTION: Final = 1_500
_MARGIN_SECONDS: Final = 1.0  # so that the request's own limit, which knows more, is the one that ends a slow call

_QUESTIONS: Final = {"pt-BR": "Confirma “{}”?", "es": "¿Confirmas “{}”?", "en": "Do you confirm “{}”?"}
_YES_NO: Final = {"pt-BR": ("não", "sim"), "es": ("no", "sí"), "en": ("no", "yes")}

_log = structlog.get_logger(__name__)


class OutcomeUnknown(TimeoutError):
    """The call was sent, and whether it took effect is not known."""


class HttpTools:
    """Builds the tools of owners, and keeps each while its row stays the same: equal rows give the same object."""

    def __init__(self, database: Database, sealer: Sealer, egress: Egress, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._egress = egress
        self._clock = clock
        self._built: dict[HttpTool, AnyTool] = {}

    def of(self, rows: Iterable[HttpTool]) -> tuple[AnyTool, ...]:
        """A tool for each row."""
        return tuple(self._kept(row) for row in rows)

    def _kept(self, row: HttpTool) -> AnyTool:
        tool = self._built.get(row)
        if tool is None:
            while len(self._built) >= _KEPT:
                del self._built[next(iter(self._built))]
            tool = self._built[row] = self._build(row)
        return tool

    def _build(self, row: HttpTool) -> Tool[SchemedArguments]:
        async def run(context: ToolContext, arguments: SchemedArguments) -> object:
            return await self._call(row, context, arguments)

        def question(_tx: OwnerTx, context: ToolContext, arguments: SchemedArguments) -> str:
            return _question(row, context.locale, arguments.model_dump(mode="json"))

        return Tool(
            row.name,
            row.description,
            arguments_of(row.name, json.loads(row.parameters)),
            run=run,
            effect=row.effect,
            question=question,
            timeout_seconds=row.timeout_seconds + _MARGIN_SECONDS,
        )

    async def _call(self, row: HttpTool, context: ToolContext, arguments: SchemedArguments) -> object:
        user, conversation = await self._database.read(context.owner_id, public_ids, context.conversation_id)
        call_id = _call_id(row, context)
        body = to_json({"tool": row.name, "call_id": call_id, "arguments": arguments, "user": user, "conversation": conversation})
        secret = self._sealer.unseal(context.owner_id, SECRET_FIELD, row.secret)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/plain",
            **signed_headers([secret], call_id, body, now=self._clock.now()),
        }
        try:
            response = await self._egress.request(
                "POST", row.url, headers=headers, body=body, seconds=row.timeout_seconds, max_bytes=MAX_ANSWER_BYTES
            )
        except EgressError as error:
            # The owner reads why in the log; the model is told what it may tell a customer.
            _log.warning("http_tool.failed", tool=row.public_id, owner=context.owner_id, reason=str(error))
            raise _failed(row, "gave no answer that can be used", in_doubt=error.received) from None
        if response.status // 100 != 2:
            _log.warning("http_tool.failed", tool=row.public_id, owner=context.owner_id, status=response.status)
            raise _failed(row, f"answered with HTTP status {response.status}", in_doubt=response.status >= 500)
        return _result(row, response)


def _call_id(row: HttpTool, context: ToolContext) -> str:
    """The same at each try of a call that has an effect, and never that of another call.

    A call that only looks has the model's own name for it, which may come again in another turn.
    """
    turn = context.message_id if row.effect is Effect.READ else 0
    names = (context.owner_id, context.conversation_id, turn, row.name, context.call_id)
    return f"call_{sha256(repr(names).encode()).hexdigest()[:32]}"


def _result(row: HttpTool, response: Response) -> object:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not response.body.strip():
        return {"status": response.status}
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return from_json(response.body, allow_inf_nan=False)
        except ValueError:
            raise _failed(row, "answered with something that is not the JSON it is said to be", in_doubt=True) from None
    if kind.startswith("text/"):
        return response.body.decode("utf-8", "replace")
    raise _failed(row, "answered with neither JSON nor text", in_doubt=True)


def _failed(row: HttpTool, what: str, *, in_doubt: bool) -> Exception:
    """What to raise: certainly not done, or perhaps done (which matters where there is an effect)."""
    if in_doubt and row.effect is not Effect.READ:
        return OutcomeUnknown(f"the server of tool {row.name} {what}")
    return ToolError(f"The tool's server {what}. Nothing was done.")


def _question(row: HttpTool, locale: str, arguments: Mapping[str, object]) -> str:
    """Name and arguments in full, so that a yes is a yes to exactly this. ToolError if that is too long to be read."""
    lines = [_QUESTIONS[locale].format(_readable(row.name))]
    lines += [f"- {_readable(name)}: {_shown(value, locale)}" for name, value in arguments.items()]
    question = "\n".join(lines)
    if len(question) > _MAX_QUESTION:
        raise ToolError("The arguments are too long to be shown to the person, who has to confirm them. Shorten them.")
    return question


def _readable(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: object, locale: str) -> str:
    if isinstance(value, bool):
        return _YES_NO[locale][value]
    text = value if isinstance(value, str) else to_json(value).decode()
    # On one line, and without the invisible characters that make a text look like another one.
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
