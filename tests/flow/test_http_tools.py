"""An owner's own tool is called over HTTP, signed, within its limits, and once where it changes something."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook, WebhookVerificationError

from tests.schema import new_database
from wtai.ai import toolbox_store
from wtai.ai.agent import Agent
from wtai.ai.llm import ToolCall
from wtai.ai.toolbox import Bounds, Call, Toolbox
from wtai.ai.tools.http import HttpTools
from wtai.ai.tools.http_store import HttpToolDraft, Saved, http_tools, save_http_tool
from wtai.ai.tools.tool import Effect, ToolContext
from wtai.clock import SystemClock
from wtai.conversation.inbox import receive
from wtai.conversation.model import Inbound, Kind
from wtai.db.sqlite import SqliteDatabase
from wtai.egress import Egress
from wtai.identity.preferences import Preferences
from wtai.identity.store import create_owner
from wtai.secrets import Sealer, create_key_file
from wtai.standard_webhooks import new_secret

NOW = 1_800_000_000_000
OURS, ANA = "whatsapp:+551140001234", "whatsapp:+5511987654321"
PARAMETERS = {
    "type": "object",
    "properties": {"order_id": {"type": "string", "maxLength": 4000}, "gift": {"type": "boolean"}},
    "required": ["order_id"],
}


class Shop:
    """The owner's server. It believes whoever the official library believes."""

    def __init__(self) -> None:
        self.secret = ""
        self.calls: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.answer: Callable[[], web.StreamResponse] = lambda: web.json_response({"status": "sent", "total": 32.5})
        self.hang = False
        app = web.Application()
        app.router.add_post("/orders", self._orders)
        self.server = TestServer(app, host="127.0.0.1")

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/orders?key=s3cr3t"

    async def _orders(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            Webhook(self.secret).verify(body, dict(request.headers))
        except WebhookVerificationError:
            return web.Response(status=401)
        self.calls.append(json.loads(body))
        self.ids.append(request.headers["webhook-id"])
        if self.hang:
            await asyncio.Event().wait()
        return self.answer()


@dataclass
class World:
    """A conversation with an owner, and the owner's shop."""

    database: SqliteDatabase
    sealer: Sealer
    egress: Egress
    shop: Shop
    tools: HttpTools
    context: ToolContext

    async def save(self, **changes: Any) -> Saved:
        draft = HttpToolDraft(
            "order_status", "Tells the state of an order.", PARAMETERS, self.shop.url, Effect.READ, timeout_seconds=5
        )
        saved = await self.database.write(
            1,
            save_http_tool,
            replace(draft, **changes),
            sealer=self.sealer,
            egress=self.egress,
            built_in={"call_person"},
            now=NOW,
        )
        self.shop.secret = saved.new_secret or self.shop.secret
        return saved

    async def reach(self, *allowed: str) -> None:
        """From now on only these private hosts are allowed."""
        await self.egress.close()
        self.egress = Egress(allowed)
        self.tools = HttpTools(self.database, self.sealer, self.egress, SystemClock())

    async def agent(self) -> Agent:
        return Agent("shop", "…", self.tools.of(await self.database.read(1, http_tools)))

    async def use(
        self, arguments: dict[str, Any] | None = None, *, call_id: str = "c1", turn: int = 0, limit: int = 4_000
    ) -> Call:
        agent = await self.agent()
        call = ToolCall(call_id, agent.tools[0].name, json.dumps(arguments or {"order_id": "7"}))
        return await self.toolbox(turn).use(agent, call, bounds(limit))

    def toolbox(self, turn: int = 0) -> Toolbox:
        return Toolbox(self.database, self.context, turn=turn)


def bounds(limit: int = 4_000) -> Bounds:
    return Bounds(asyncio.get_running_loop().time() + 10, limit)


@pytest.fixture
async def world(data_dir: Path) -> AsyncIterator[World]:
    new_database(data_dir / "wtai.db")
    database = await SqliteDatabase.open(data_dir / "wtai.db")
    await database.system_write(create_owner, "Casa", "pt-BR", now=NOW)
    inbound = Inbound("whatsapp", "SM1", OURS, ANA, (ANA,), (), Kind.TEXT, "oi")
    got = await database.write(1, receive, inbound, Preferences(), now=NOW)
    assert got.conversation_id is not None and got.message_id is not None
    shop, sealer = Shop(), Sealer(create_key_file(data_dir / "wtai.key"))
    await shop.server.start_server()
    egress = Egress([shop.host])
    context = ToolContext(1, 1, got.conversation_id, got.message_id, NOW, "America/Sao_Paulo", "pt-BR")
    built = World(database, sealer, egress, shop, HttpTools(database, sealer, egress, SystemClock()), context)
    yield built
    await built.egress.close()
    await shop.server.close()
    await database.close()


async def test_a_call_arrives_signed_with_what_the_receiver_needs_and_no_more(world: World) -> None:
    await world.save()
    call = await world.use({"order_id": "A/7 é", "gift": True})
    assert (call.failed, json.loads(call.result)) == (False, {"status": "sent", "total": 32.5})
    [body] = world.shop.calls
    ids = await world.database.system_read(
        lambda tx: tx.one("SELECT u.public_id AS u, c.public_id AS c FROM users u JOIN conversations c ON c.user_id = u.id")
    )
    assert ids is not None
    assert body == {
        "tool": "order_status",
        "call_id": world.shop.ids[0],
        "arguments": {"order_id": "A/7 é", "gift": True},
        "user": ids["u"],
        "conversation": ids["c"],
    }


async def test_a_call_that_was_signed_with_another_secret_is_not_believed(world: World) -> None:
    await world.save()
    world.shop.secret = new_secret()
    assert "401" in (await world.use()).result
    assert world.shop.calls == []


async def test_arguments_that_do_not_fit_are_not_sent(world: World) -> None:
    await world.save()
    for arguments in ({"order_id": 7}, {"order_id": "7", "user": "x"}, {"gift": True}):
        assert (await world.use(arguments)).failed
    assert world.shop.calls == []


async def test_each_look_has_an_id_of_its_own_though_models_count_their_calls_from_zero(world: World) -> None:
    await world.save()
    await world.use()
    await world.use()
    world.context = replace(world.context, message_id=world.context.message_id + 1)
    await world.use()
    assert world.shop.ids[0] == world.shop.ids[1] != world.shop.ids[2]


async def test_an_effect_is_had_once_however_often_the_turn_is_tried(world: World) -> None:
    await world.save(effect=Effect.REVERSIBLE)
    first, again = await world.use(), await world.use(call_id="c9")
    assert len(world.shop.calls) == 1
    assert (first.result, first.failed) == (again.result, again.failed) == ('{"status":"sent","total":32.5}', False)
    await world.use(turn=1)
    assert len(set(world.shop.ids)) == 2


@pytest.mark.parametrize("status", [301, 400, 401, 404, 429])
async def test_a_refused_call_was_not_done_and_may_be_tried_again(world: World, status: int) -> None:
    await world.save(effect=Effect.REVERSIBLE)
    world.shop.answer = lambda: web.Response(status=status, text="SECRET STACK TRACE", headers={"Location": world.shop.url})
    call = await world.use()
    assert call.failed
    assert str(status) in call.result and "Nothing was done" in call.result
    assert "STACK" not in call.result
    world.shop.answer = lambda: web.json_response("done")
    assert (await world.use()).result == "done"


@pytest.mark.parametrize("wrong", ["500", "503", "json", "type", "large", "compressed", "hang"])
async def test_after_an_answer_that_does_not_tell_an_effect_stays_in_doubt_and_is_not_repeated(world: World, wrong: str) -> None:
    await world.save(effect=Effect.REVERSIBLE, timeout_seconds=1 if wrong == "hang" else 5)
    answers: dict[str, Callable[[], web.StreamResponse]] = {
        "json": lambda: web.Response(body=b'{"STACK', content_type="application/json"),
        "type": lambda: web.Response(body=b"STACK", content_type="image/png"),
        "large": lambda: web.Response(text="STACK" * 20_000),
        "compressed": lambda: web.Response(text="STACK", headers={"Content-Encoding": "gzip"}),
    }
    world.shop.hang = wrong == "hang"
    world.shop.answer = answers.get(wrong, lambda: web.Response(status=int(wrong), text="STACK"))
    call = await world.use()
    assert call.failed
    assert "not known whether it took effect" in call.result
    assert "STACK" not in call.result and "s3cr3t" not in call.result
    assert (await world.use()).failed
    assert len(world.shop.calls) == 1


async def test_a_look_that_fails_says_so(world: World) -> None:
    await world.save()
    world.shop.answer = lambda: web.Response(status=500, text="STACK")
    call = await world.use()
    assert call.failed
    assert "500" in call.result and "STACK" not in call.result


async def test_a_server_that_is_not_there_did_nothing(world: World, free_port: int) -> None:
    await world.reach("127.0.0.1")
    await world.save(effect=Effect.REVERSIBLE, url=f"http://127.0.0.1:{free_port}/")
    call = await world.use()
    assert call.failed
    assert "Nothing was done" in call.result


async def test_a_host_that_the_operator_no_longer_allows_is_not_called(world: World) -> None:
    await world.save()
    await world.reach()
    call = await world.use()
    assert call.failed
    assert world.shop.calls == [] and "127.0.0.1" not in call.result


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (lambda: web.Response(status=204), '{"status":204}'),
        (lambda: web.Response(text="em trânsito"), "em trânsito"),
        (lambda: web.Response(body=b"\xff", content_type="text/plain"), "\ufffd"),
        (lambda: web.json_response([1, None, {"a": "b"}], content_type="application/hal+json"), '[1,null,{"a":"b"}]'),
        (lambda: web.json_response("x" * 5_000), "x" * 91 + " …[cut]"),
    ],
)
async def test_what_comes_back_is_the_result_up_to_the_limit_of_the_turn(
    world: World, answer: Callable[[], web.StreamResponse], result: str
) -> None:
    await world.save()
    world.shop.answer = answer
    call = await world.use(limit=98)
    assert (call.result, call.failed) == (result, False)


@pytest.mark.parametrize(
    ("locale", "question"),
    [
        ("pt-BR", "Confirma “cancel order”?\n- order id: 7 * x\n- gift: sim"),
        ("es", "¿Confirmas “cancel order”?\n- order id: 7 * x\n- gift: sí"),
        ("en", "Do you confirm “cancel order”?\n- order id: 7 * x\n- gift: yes"),
    ],
)
async def test_what_cannot_be_undone_is_done_after_a_yes_to_name_and_arguments(world: World, locale: str, question: str) -> None:
    await world.save(name="cancel_order", effect=Effect.IRREVERSIBLE)
    world.context = replace(world.context, locale=locale)
    agent, toolbox = await world.agent(), world.toolbox()
    arguments = json.dumps({"order_id": "7\n\u202e* x\u200b", "gift": True})
    call = await toolbox.use(agent, ToolCall("c1", "cancel_order", arguments), bounds())
    assert (call.waits, toolbox.question) == (True, question)
    assert world.shop.calls == []
    await world.database.write(1, toolbox_store.ask_action, world.context.conversation_id)
    await world.toolbox(turn=1).confirm({"shop": agent}, bounds())
    assert [body["arguments"] for body in world.shop.calls] == [json.loads(arguments)]


async def test_what_is_too_long_to_be_read_cannot_be_confirmed(world: World) -> None:
    await world.save(effect=Effect.IRREVERSIBLE)
    call = await world.use({"order_id": "x" * 2_000})
    assert call.failed
    assert "too long" in call.result


async def test_equal_rows_give_the_same_tool_and_a_changed_one_another(world: World) -> None:
    await world.save()
    rows = await world.database.read(1, http_tools)
    first = world.tools.of(rows)
    assert world.tools.of(await world.database.read(1, http_tools))[0] is first[0]
    await world.save(description="Another.")
    assert world.tools.of(await world.database.read(1, http_tools))[0] is not first[0]


async def test_a_secret_is_told_once_kept_sealed_and_stays_when_the_tool_changes(world: World) -> None:
    saved = await world.save()
    assert saved.new_secret is not None
    assert saved.new_secret not in repr(saved) and saved.tool.secret not in repr(saved)
    changed = await world.save(description="Another.")
    assert (changed.new_secret, changed.tool.public_id) == (None, saved.tool.public_id)
    await world.use()
    given = new_secret()
    assert (await world.save(secret=given)).new_secret is None
    world.shop.secret = given
    await world.use()
    assert len(world.shop.calls) == 2
    rows = await world.database.system_read(lambda tx: tx.all("SELECT secret FROM http_tools"))
    assert all(given not in row["secret"] for row in rows)
