"""Webhook endpoints and their deliveries over the API."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from tests.program import person
from tests.web.api_client import Api, open_api
from wtai.clock import SystemClock
from wtai.standard_webhooks import verify

ANA = person(1)
EVENTS = ["message.received"]


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A place to be told of events, and what it was told."""
    told: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        told.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"{site.name}/hook", told
    finally:
        await runner.cleanup()


async def test_an_endpoint_is_told_and_what_it_was_told_is_replayed(data_dir: Path) -> None:
    async with receiver() as (url, told), open_api(data_dir, egress={"allowed_private_hosts": [url.split("/")[2]]}) as api:
        made = await api.admin.post("/webhook-endpoints", {"url": url, "events": EVENTS})
        assert made.status == 201, made.text
        secret, path = made.body["secret"], f"/webhook-endpoints/{made.body['id']}"
        assert secret not in (await api.admin.get("/webhook-endpoints")).text
        await api.conversation(ANA, "pão?")
        await api.world.until(lambda: len(told) == 1)
        headers, body = told[0]
        event = verify([secret], headers, body, now=SystemClock().now())
        await api.world.at_rest()
        [delivery] = (await api.admin.get(f"/webhook-deliveries?endpoint={made.body['id']}")).body["items"]
        assert (delivery["event"], delivery["status"], delivery["last_status"]) == (event, "delivered", 204)
        assert delivery["payload"] == json.loads(body)
        again = await api.admin.post(f"/webhook-deliveries/{delivery['id']}/replay")
        assert again.body["status"] == "pending"
        await api.world.until(lambda: len(told) == 2)
        assert told[1][0]["webhook-id"] == event
        assert (await api.admin.post("/webhook-replays", {"since": "2020-01-01T00:00:00Z"})).body == {"count": 0}
        unknown = await api.admin.post("/webhook-replays", {"since": "2020-01-01T00:00:00Z", "endpoint": "whe_nothing"})
        assert (unknown.status, unknown.pointers) == (422, ["/endpoint"])
        rotated = await api.admin.post(f"{path}/secret", If_Match='"1"')
        assert rotated.body["secret"] != secret
        changed = await api.admin.patch(path, {"status": "disabled"}, rotated.body["version"])
        assert (changed.body["status"], changed.body["disabled_reason"]) == ("disabled", "asked")
        assert (await api.admin.post(f"/webhook-deliveries/{delivery['id']}/replay")).slug == "conflict"
        for client in (api.other, api.platform):
            assert (await client.get(path)).status in (403, 404)
        assert (await api.other.get(f"/webhook-deliveries/{delivery['id']}")).slug == "not-found"
        assert (await api.other.get(f"/webhook-deliveries?endpoint={made.body['id']}")).body["items"] == []
        assert (await api.admin("DELETE", path, If_Match="*")).status == 204


async def test_an_endpoint_that_may_not_be_called_is_refused(api: Api) -> None:
    for body, where in (
        ({"url": "http://example.com/hook", "events": EVENTS}, "/url"),
        ({"url": "https://127.0.0.1/hook", "events": EVENTS}, "/url"),
        ({"url": "https://[::1]/hook", "events": EVENTS}, "/url"),
        ({"url": "ftp://example.com", "events": EVENTS}, "/url"),
        ({"url": "https://example.com/hook", "events": ["no.such"]}, "/events/0"),
        ({"url": "https://example.com/hook", "events": []}, "/events"),
    ):
        refused = await api.admin.post("/webhook-endpoints", body)
        assert (refused.status, refused.pointers) == (422, [where]), refused.text
    assert (await api.agent.get("/webhook-endpoints")).slug == "forbidden"
