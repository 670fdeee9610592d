"""HTTP tools: what specialists may call at an address of the owner's. A secret is shown once."""

import json
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from wtai.ai.memory.embedder import HashedEmbedder
from wtai.ai.memory.memories import Memories
from wtai.ai.specialists import built_in_names, shared_tools
from wtai.ai.tools.http_store import HttpTool, HttpToolDraft, Saved, delete_http_tool, http_tools, save_http_tool
from wtai.ai.tools.tool import Effect
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.identity.audit_store import audit
from wtai.standard_webhooks import new_secret
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import BLANK, Form, sent
from wtai.web.console.settings.frame import PLACE, over, show
from wtai.web.console.settings.reading import laid_out
from wtai.web.console.settings.words import Refused

_PATH: Final = f"{PLACE}/tools"
_ONE: Final = f"{_PATH}/{{tool}}"
EXAMPLE: Final = {
    "type": "object",
    "properties": {"order": {"type": "string", "description": "Number of the order"}},
    "required": ["order"],
    "additionalProperties": False,
}


async def tools(visit: Visit) -> web.StreamResponse:
    """All of them, and the form for one more."""
    return await _listed(visit, BLANK)


async def create(visit: Visit) -> web.StreamResponse:
    """A tool with a secret of its own, which is in the answer and nowhere else."""

    async def work(given: Mapping[str, str]) -> web.Response:
        def write(tx: OwnerTx) -> Saved:
            name = given.get("name", "").strip()
            if any(tool.name == name for tool in http_tools(tx)):
                raise Refused("name", visit.text("There is a tool of this name already."))
            return _save(tx, visit, _draft(visit, name, given))

        saved = await visit.write(write)
        return _with_secret(visit, saved.tool, saved.new_secret)

    return await sent(visit, work, lambda form: _listed(visit, form))


async def tool(visit: Visit) -> web.StreamResponse:
    """One of them."""
    return await _one(visit, BLANK)


async def save(visit: Visit) -> web.StreamResponse:
    """In place of what was set before; its secret stays."""

    async def work(given: Mapping[str, str]) -> web.Response:
        def write(tx: OwnerTx) -> None:
            _save(tx, visit, _draft(visit, _named(tx, visit.ids["tool"]).name, given))

        await visit.write(write)
        return over(visit, _PATH, "saved")

    return await sent(visit, work, lambda form: _one(visit, form))


async def rotate(visit: Visit) -> web.StreamResponse:
    """A new secret, in place of the one before."""

    async def work(_: object) -> web.Response:
        secret = new_secret()

        def write(tx: OwnerTx) -> Saved:
            known = _named(tx, visit.ids["tool"])
            draft = HttpToolDraft(
                known.name,
                known.description,
                json.loads(known.parameters),
                known.url,
                known.effect,
                known.timeout_seconds,
                secret,
            )
            return _save(tx, visit, draft)

        return _with_secret(visit, (await visit.write(write)).tool, secret)

    return await sent(visit, work, lambda form: _one(visit, form))


async def delete(visit: Visit) -> web.StreamResponse:
    """Specialists that name it go on without."""
    name = visit.ids["tool"]
    await visit.audited("http_tools.delete", name, lambda tx: delete_http_tool(tx, name))
    return over(visit, _PATH, "deleted")


def _save(tx: OwnerTx, visit: Visit, draft: HttpToolDraft) -> Saved:
    means = visit.means
    names = built_in_names(shared_tools(Memories(means.database, HashedEmbedder())))
    saved = save_http_tool(tx, draft, sealer=means.sealer, egress=means.egress, built_in=names, now=visit.now)
    audit(tx, visit.actor, "http_tools.update", saved.tool.public_id, details=draft.name, now=visit.now)
    return saved


def _draft(visit: Visit, name: str, given: Mapping[str, str]) -> HttpToolDraft:
    """What the form says of a tool. Refused where it cannot be read at all."""
    try:
        parameters = json.loads(given.get("parameters", ""))
    except (ValueError, RecursionError) as exc:
        raise Refused("parameters", visit.text("This is no JSON: %(reason)s") % {"reason": exc}) from exc
    if not isinstance(parameters, dict):
        raise Refused("parameters", visit.text("Write a JSON schema of an object, such as the example."))
    try:
        seconds = float(given.get("timeout_seconds", ""))
    except ValueError as exc:
        raise Refused("timeout_seconds", visit.text("Write a number, such as 60.")) from exc
    effect = next((one for one in Effect if one == given.get("effect")), None)
    if effect is None:
        raise Refused("effect", visit.text("Choose one of the list."))
    return HttpToolDraft(name, given.get("description", "").strip(), parameters, given.get("url", "").strip(), effect, seconds)


def _named(tx: OwnerTx, name: str) -> HttpTool:
    found = next((tool for tool in http_tools(tx) if tool.name == name), None)
    if found is None:
        raise NotFound(f"no HTTP tool {name}")
    return found


def _with_secret(visit: Visit, made: HttpTool, secret: str | None) -> web.Response:
    return show(visit, "tool_secret.html", _PATH, tool=made, secret=secret)


async def _listed(visit: Visit, form: Form) -> web.Response:
    found = await visit.read(http_tools)
    example = json.dumps(EXAMPLE, indent=2)
    return show(visit, "tools.html", _PATH, status=form.status, form=form, tools=found, example=example)


async def _one(visit: Visit, form: Form) -> web.Response:
    found = await visit.read(_named, visit.ids["tool"])
    parameters = laid_out(found.parameters)
    return show(visit, "tool.html", _PATH, status=form.status, form=form, tool=found, parameters=parameters)


PAGES = (
    Page("GET", _PATH, tools, "http_tools.read"),
    Page("POST", _PATH, create, "http_tools.update"),
    Page("GET", _ONE, tool, "http_tools.read"),
    Page("POST", _ONE, save, "http_tools.update"),
    Page("POST", f"{_ONE}/secret", rotate, "http_tools.update"),
    Page("POST", f"{_ONE}/delete", delete, "http_tools.delete"),
)
