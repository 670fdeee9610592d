"""The names of the API that other programs rely on: every resource is there, and every list is one."""

import pytest

from tests.program import person
from tests.web.api_client import Api
from wtai.web.api.models import Page, Paging
from wtai.web.api.routes import ROUTES

AUTH = ("auth/token", "auth/refresh", "auth/revoke")
LISTS = (
    *("owners", "users", "plans", "features", "twilio-accounts", "conversations", "messages", "ai-results", "memories", "jobs"),
    *("usage", "templates", "webhook-endpoints"),
)
OF_A_CONVERSATION = ("messages", "notes", "events")
STEPS = ("handoff", "resume", "close")


async def test_every_list_answers_with_items_and_what_comes_next(api: Api) -> None:
    for number in (1, 2):
        conversation = await api.conversation(person(number))
        await api.admin.post(f"/conversations/{conversation}/notes", {"text": "gosta de pão"})
    for name in (*LISTS, *(f"conversations/{conversation}/{part}" for part in OF_A_CONVERSATION)):
        ask = api.platform if name == "owners" else api.admin
        whole = (await ask.get(f"/{name}?limit=200")).body
        assert whole.keys() >= {"items", "next"}, name
        first = (await ask.get(f"/{name}?limit=1")).body
        assert first["items"] == whole["items"][:1], name
        if len(whole["items"]) > 1:
            following = (await ask.get(f"/{name}?limit=1&cursor={first['next']}")).body
            assert following["items"] == whole["items"][1:2], name
        else:
            assert first["next"] is None, name
        assert (await ask.get(f"/{name}?cursor=forged")).slug == "malformed-request", name
    assert (await api.admin.get("/subscription")).status == 200


async def test_a_conversation_goes_through_its_steps(api: Api) -> None:
    conversation = await api.conversation(person(1))
    for step in STEPS:
        done = await api.admin.post(f"/conversations/{conversation}/{step}", {}, Idempotency_Key=step)
        assert done.status == 200, (step, done.text)
        again = await api.admin.post(f"/conversations/{conversation}/{step}", {}, Idempotency_Key=step)
        assert (again.text, again.headers["Idempotency-Replayed"]) == (done.text, "true"), step
        stale = await api.admin.post(f"/conversations/{conversation}/{step}", {}, If_Match='"1"')
        assert stale.status == 412, (step, stale.text)


@pytest.mark.parametrize("name", AUTH)
async def test_the_way_in_is_there_and_refuses_as_a_problem(api: Api, name: str) -> None:
    assert (await api.nobody.post(f"/{name}", {})).slug == "invalid"


def test_whatever_lists_takes_a_limit_and_a_cursor() -> None:
    lists = [route for route in ROUTES if any(model is not None and issubclass(model, Page) for model in route.returns.values())]
    assert len(lists) > 25
    assert [route.name for route in lists if route.query is None or not issubclass(route.query, Paging)] == []
    named = {route.path.removeprefix("/api/v1/") for route in lists}
    assert set(LISTS) <= named
