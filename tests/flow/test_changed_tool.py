"""A tool that its owner changes between the question and the person's yes: the yes is answered, and nothing is called."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.flow.test_specialists import calls, last_result, say, says
from tests.program import World, open_world
from wtai.ai.features_store import Feature, set_feature
from wtai.ai.tools.http_store import HttpToolDraft, save_http_tool
from wtai.ai.tools.tool import Effect
from wtai.app import Running
from wtai.egress import Egress
from wtai.identity.audit_store import OPERATOR
from wtai.identity.from_settings import sealer

TEXT = {"type": "string"}


async def save(program: Running, world: World, required: Mapping[str, object]) -> None:
    """The owner saves the tool with these parameters."""
    parameters = {"type": "object", "properties": dict(required), "required": list(required)}
    url = "https://shop.example/cancel"
    draft = HttpToolDraft("cancel_order", "Cancels an order.", parameters, url, Effect.IRREVERSIBLE, timeout_seconds=5)
    kept = {"sealer": sealer(world.settings()), "egress": Egress([]), "built_in": set(), "now": 0}
    await program.database.write(world.line.owner_id, lambda tx: save_http_tool(tx, draft, **kept))


async def test_a_yes_to_a_tool_that_was_changed_meanwhile_is_answered_and_told_to_the_model(data_dir: Path) -> None:
    async with open_world(data_dir) as world, world.running() as program:
        await save(program, world, {"order": TEXT})
        lent = Feature("general", True, json.dumps({"tools": ["cancel_order"]}))
        await program.database.write(world.line.owner_id, set_feature, lent, actor=OPERATOR, now=0)
        asked = await say(world, "cancela o pedido 7", calls("cancel_order", order="7"), says("Só confirme."))
        assert "order: 7" in asked
        await save(program, world, {"order": TEXT, "reason": TEXT})
        assert await say(world, "sim", says("Não consegui, o pedido segue.")) == "Não consegui, o pedido segue."
        await world.at_rest()
        told: Any = world.model.requests[-1]
        (call,) = json.loads(last_result(world)["calls"])
    assert told["messages"][-1]["role"] == "tool"
    assert "reason: Field required" in told["messages"][-1]["content"]
    assert (call["name"], call["failed"]) == ("cancel_order", True)
    assert world.rows("SELECT status FROM pending_actions") == [{"status": "dropped"}]
