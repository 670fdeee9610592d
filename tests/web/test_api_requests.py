"""What any request may be refused for, before it reaches a resource: tokens, bodies, queries, cursors, keys, rates."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.program import person
from tests.web.api_client import PASSWORD, Api, open_api
from wtai.db.sqlite import connect

ANA = person(1)
LOG_IN = {"email": "ana@padaria.example", "password": PASSWORD}
SQL = "'; DROP TABLE users; --"


async def test_without_a_good_token_nothing_is_told(api: Api) -> None:
    for token in (None, "x", "wtai_00000000_" + "0" * 64, "a.b.c", SQL.replace(" ", "")):
        api.nobody.token = token
        for path in ("/conversations", "/conversations/cnv_x", "/owners"):
            refused = await api.nobody.get(path)
            if refused.status != 404 or path != "/owners":
                assert (refused.status, refused.slug) == (401, "unauthenticated")
                assert refused.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_log_in_gives_tokens_that_refresh_once_and_can_be_revoked(api: Api) -> None:
    tokens = (await api.nobody.post("/auth/token", LOG_IN)).body
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 900)
    api.nobody.token = tokens["access_token"]
    assert (await api.nobody.get("/conversations")).status == 200
    following = (await api.nobody.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]})).body
    assert following["refresh_token"] != tokens["refresh_token"]
    assert (await api.nobody.post("/auth/revoke", {"refresh_token": following["refresh_token"]})).status == 204
    assert (await api.nobody.post("/auth/refresh", {"refresh_token": following["refresh_token"]})).status == 401
    assert (await api.nobody.get("/conversations")).status == 401


async def test_wrong_passwords_are_refused_and_then_slowed_down(api: Api) -> None:
    answers = [await api.nobody.post("/auth/token", {**LOG_IN, "password": f"errada {number}"}) for number in range(7)]
    assert [answer.slug for answer in answers[:5]] == ["unauthenticated"] * 5
    assert answers[-1].slug == "too-many-requests"
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert len({answer.body["detail"] for answer in answers[:5]}) == 1


async def test_what_belongs_to_somebody_else_looks_like_what_is_not_there(api: Api) -> None:
    conversation = await api.conversation(ANA)
    absent = conversation[:-4] + "0000"
    for method, rest, body in (
        ("GET", "", None),
        ("GET", "/messages", None),
        ("GET", "/events", None),
        ("GET", "/notes", None),
        ("POST", "/messages", {"body": "oi"}),
        ("POST", "/handoff", {}),
        ("POST", "/close", None),
    ):
        foreign, none = [
            await api.other(method, f"/conversations/{id_}{rest}", body, X_Request_Id="same") for id_ in (conversation, absent)
        ]
        assert (foreign.status, foreign.text) == (none.status, none.text) == (404, none.text), rest
        assert foreign.headers.keys() == none.headers.keys()


async def test_the_platform_has_no_part_in_conversations(api: Api) -> None:
    conversation = await api.conversation(ANA)
    assert (await api.platform.get("/conversations")).slug == "forbidden"
    assert (await api.platform.get(f"/conversations/{conversation}")).slug == "forbidden"


async def test_a_path_says_which_methods_it_has_and_an_unknown_one_that_it_is_not_there(api: Api) -> None:
    wrong = await api.agent("DELETE", "/conversations")
    assert (wrong.status, wrong.slug, wrong.headers["Allow"]) == (405, "method-not-allowed", "GET")
    for path in ("/nothing", "/conversations/a/b/c", "/api", "/api/", "/api/v2/x"):
        assert (await api.agent.get(path)).slug == "not-found", path


BODIES = [
    (b"", 422, ""),
    (b"{", 400, ""),
    (b"\xff\xfe{}", 400, ""),
    (b"\xef\xbb\xbf{}", 400, ""),
    (b'{"body": NaN}', 400, ""),
    (b'{"body": 1e999}', 400, "/body"),
    (b'{"body": ' + b"9" * 5_000 + b"}", 400, ""),
    (b'{"body": "a", "body": "b"}', 400, ""),
    (b'{"template": {"name": "a", "name": "b"}}', 400, "/template"),
    (b'{"body": "\\ud800"}', 400, "/body"),
    (b'{"body": "a\\u0000b"}', 400, "/body"),
    (b'{"a\\u0000": 1}', 400, ""),
    (b"[" * 100_000, 400, ""),
    (b'{"body": ' + b"[" * 40 + b"]" * 40 + b"}", 400, "/body" + "/0" * 32),
    (b"[]", 422, ""),
    (b"null", 422, ""),
    (b"{}", 422, ""),
    (b'{"body": 1}', 422, "/body"),
    (b'{"body": true}', 422, "/body"),
    (b'{"body": {"a": 1}}', 422, "/body"),
    (b'{"body": ""}', 422, "/body"),
    (b'{"body": " \\n "}', 422, "/body"),
    (b'{"body": "oi", "author": "agent"}', 422, "/author"),
    (b'{"body": "oi", "owner_id": 2}', 422, "/owner_id"),
    (b'{"body": "oi", "a/b~c": 2}', 422, "/a~1b~0c"),
    (b'{"template": {"content_sid": "HX1"}}', 422, "/template/content_sid"),
    (b'{"template": {"name": "x", "variables": {"1": 2}}}', 422, "/template/variables/1"),
    (b'{"body": "' + b"a" * 1_000_000 + b'"}', 422, "/body"),
    (b'{"text": 1}', 422, "/text"),
    (b'{"text": "oi", "body": "oi"}', 422, "/text"),
]


async def test_a_body_that_does_not_fit_is_refused_with_a_pointer_to_where(api: Api) -> None:
    conversation = await api.conversation(ANA)
    before = len(api.world.outbound())
    for body, status, where in BODIES:
        refused = await api.agent("POST", f"/conversations/{conversation}/messages", raw=body)
        assert (refused.status, where in refused.pointers) == (status, True), (body[:60], refused.text)
    assert len(api.world.outbound()) == before


async def test_sql_in_every_text_is_text(api: Api) -> None:
    conversation = await api.conversation(ANA)
    sent = await api.agent.post(f"/conversations/{conversation}/messages", {"body": SQL})
    assert sent.body["items"][0]["body"] == SQL
    assert (await api.agent.post(f"/conversations/{conversation}/notes", {"text": SQL})).body["text"] == SQL
    quoted = SQL.replace(" ", "%20")
    assert (await api.agent.get(f"/conversations/{quoted}")).status == 404
    assert (await api.agent.get(f"/conversations?user={quoted}")).body["items"] == []
    for path in ("%00", "%ff", "%ed%a0%80", "a" * 5_000):
        assert (await api.agent.get(f"/messages/{path}")).status in (400, 404), path
    assert (
        await api.agent.post(f"/conversations/{conversation}/notes", {"text": "oi"}, Idempotency_Key=SQL.replace(" ", ""))
    ).status == 201
    assert api.world.value("SELECT count(*) FROM users") > 0


QUERIES = [
    ("limit=0", "limit"),
    ("limit=-1", "limit"),
    ("limit=201", "limit"),
    ("limit=x", "limit"),
    ("limit=1.5", "limit"),
    ("limit=99999999999999999999999999", "limit"),
    ("limit=1&limit=2", "limit"),
    ("state=%00", "state"),
    ("owner=1", "owner"),
    ("updated_since=yesterday", "updated_since"),
    ("updated_since=999999999999999999", "updated_since"),
    ("updated_since=0", "updated_since"),
    ("user=", "user"),
    ("cursor=x", "cursor"),
    ("cursor=" + "a" * 300, "cursor"),
    ("cursor=%C3%A9", "cursor"),
    ("cursor=AAAAAAAAAAAAAAAAAAAAAFsxLDJd", "cursor"),
]


async def test_a_parameter_that_does_not_fit_is_named(api: Api) -> None:
    for query, name in QUERIES:
        refused = await api.agent.get(f"/conversations?{query}")
        assert refused.status in (400, 422), refused.text
        assert refused.pointers == [name], query


async def test_a_cursor_is_good_for_its_own_list_its_filters_and_its_owner(api: Api) -> None:
    for number in range(1, 4):
        await api.conversation(person(number))
    cursor = (await api.agent.get("/conversations?limit=1&state=open")).body["next"]
    assert (await api.agent.get(f"/conversations?limit=1&state=open&cursor={cursor}")).status == 200
    tampered = ("A" if cursor[30] != "A" else "B").join((cursor[:30], cursor[31:]))
    for client, query in (
        (api.agent, f"state=open&cursor={tampered}"),
        (api.agent, f"cursor={cursor}"),
        (api.other, f"limit=1&state=open&cursor={cursor}"),
    ):
        refused = await client.get(f"/conversations?{query}")
        assert (refused.status, refused.pointers) == (400, ["cursor"])


async def test_a_repeat_with_the_same_key_is_answered_alike_and_nothing_is_done_again(api: Api) -> None:
    conversation = await api.conversation(ANA)
    path = f"/conversations/{conversation}/messages"
    first = await api.agent.post(path, {"text": "uma vez só"}, Idempotency_Key="k-1")
    again = await api.agent.post(path, {"text": "uma vez só"}, Idempotency_Key="k-1")
    assert (again.status, again.text) == (first.status, first.text) == (202, first.text)
    assert (again.headers["Idempotency-Replayed"], "Idempotency-Replayed" in first.headers) == ("true", False)
    assert len(await api.world.answers_to(ANA, 2)) == 2
    other = await api.agent.post(path, {"text": "outra coisa"}, Idempotency_Key="k-1")
    assert (other.status, other.slug, other.pointers) == (422, "idempotency-key-reused", ["Idempotency-Key"])
    theirs = await api.admin.post(path, {"text": "uma vez só"}, Idempotency_Key="k-1")
    assert theirs.status == 202
    assert theirs.text != first.text
    for key in ("", "a b", "é", "k" * 256):
        assert (await api.agent.post(path, {"text": "oi"}, Idempotency_Key=key)).status == 400 or not key
    await api.world.at_rest()


async def test_fifty_requests_at_once_with_one_key_are_one_message(api: Api) -> None:
    conversation = await api.conversation(ANA)
    path = f"/conversations/{conversation}/messages"
    replies = await asyncio.gather(*(api.agent.post(path, {"text": "uma vez"}, Idempotency_Key="k") for _ in range(50)))
    assert {reply.status for reply in replies} == {202}
    assert len({reply.text for reply in replies}) == 1
    await api.world.at_rest()
    assert [message.body for message in api.world.sent_to(ANA)][1:] == ["uma vez"]


async def test_a_request_that_was_refused_may_be_tried_again_with_its_key(api: Api) -> None:
    conversation = await api.conversation(ANA)
    refused = await api.agent.post(f"/conversations/{conversation}/resume", Idempotency_Key="k")
    assert refused.slug == "wrong-state"
    await api.agent.post(f"/conversations/{conversation}/handoff", {})
    assert (await api.agent.post(f"/conversations/{conversation}/resume", Idempotency_Key="k")).status == 200


async def test_what_is_kept_of_an_answer_cannot_be_read_in_the_database(api: Api) -> None:
    conversation = await api.conversation(ANA)
    note = {"text": "segredo da Ana"}
    await api.agent.post(f"/conversations/{conversation}/notes", note, Idempotency_Key="k")
    kept = api.world.value("SELECT answer FROM idempotency_keys")
    assert "segredo" not in kept
    assert kept.startswith("v1.")


async def test_a_change_whose_answer_cannot_be_kept_is_not_made(api: Api) -> None:
    conversation = await api.conversation(ANA)
    with closing(connect(api.world.data_dir / "wtai.db")) as connection:
        connection.execute("ALTER TABLE idempotency_keys RENAME TO gone")
    path = f"/conversations/{conversation}/notes"
    broken = await api.agent.post(path, {"text": "oi"}, Idempotency_Key="k")
    assert (broken.status, broken.slug) == (500, "internal")
    assert broken.body["instance"] == broken.headers["X-Request-Id"]
    assert "idempotency" not in broken.text
    assert (await api.agent.get(path)).body["items"] == []
    assert (await api.agent.post(path, {"text": "oi"})).status == 201


async def test_while_the_database_cannot_be_written_the_answer_is_503_and_what_is_there_can_be_read(api: Api) -> None:
    conversation = await api.conversation(ANA)
    path = f"/conversations/{conversation}/notes"
    assert (await api.agent.get(path)).status == 200  # notes that the token was used
    with closing(connect(api.world.data_dir / "wtai.db")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        busy = await api.agent.post(path, {"text": "oi"})
        assert (busy.status, busy.slug) == (503, "unavailable")
        assert int(busy.headers["Retry-After"]) > 0
        assert (await api.agent.get(path)).body["items"] == []
        connection.execute("ROLLBACK")
    assert (await api.agent.post(path, {"text": "oi"})).status == 201


async def test_of_twenty_changes_of_one_version_one_is_made(api: Api) -> None:
    conversation = await api.conversation(ANA)
    version = (await api.agent.get(f"/conversations/{conversation}")).body["version"]
    path = f"/conversations/{conversation}/handoff"
    replies = await asyncio.gather(*(api.agent.post(path, {}, If_Match=f'"{version}"') for _ in range(20)))
    assert sorted(reply.status for reply in replies) == [200] + [412] * 19


@pytest.mark.parametrize(("etag", "status"), [('"x"', 412), ('W/"1"', 412), ("1", 400), ('"1", "2"', 400), ("*", 200)])
async def test_if_match_takes_one_of_our_etags_or_any(api: Api, etag: str, status: int) -> None:
    conversation = await api.conversation(ANA)
    reply = await api.agent.post(f"/conversations/{conversation}/close", If_Match=etag)
    assert reply.status == status
    assert reply.pointers == ["If-Match"] if status != 200 else True


async def test_only_plain_json_is_taken(api: Api) -> None:
    conversation = await api.conversation(ANA)
    path = f"/conversations/{conversation}/notes"
    raw = json.dumps({"text": "oi"}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "application/xml"):
        assert (await api.agent("POST", path, raw=raw, Content_Type=kind)).slug == "unsupported-media-type", kind
    for encoding, compressed in (("gzip", gzip.compress(raw)), ("deflate", zlib.compress(raw)), ("GZIP", gzip.compress(raw))):
        refused = await api.agent("POST", path, raw=compressed, Content_Encoding=encoding)
        assert (refused.status, refused.slug) == (415, "unsupported-media-type"), encoding
    assert (await api.agent("POST", path, raw=raw, Content_Type="application/json; charset=UTF-8")).status == 201


async def test_where_nothing_has_to_be_said_nothing_and_an_empty_object_say_the_same(api: Api) -> None:
    path = f"/conversations/{await api.conversation(ANA)}"
    for raw in (None, b"{}"):
        assert (await api.agent("POST", f"{path}/handoff", raw=raw)).body["handoff_reason"] == "taken by staff"
        assert (await api.agent("POST", f"{path}/resume", raw=raw)).status == 200
    assert (await api.agent("POST", f"{path}/messages")).slug == "invalid"
    assert (await api.agent("POST", f"{path}/close", {"reason": "x"})).pointers == ["/reason"]
    assert (await api.agent("POST", f"{path}/close", raw=b"{}")).status == 200
    owner = api.lines[0].owner
    for method, route in (("PUT", f"/owners/{owner}/preferences"), ("PATCH", f"/owners/{owner}"), ("POST", f"{path}/notes")):
        assert (await api.admin(method, route, If_Match="*")).status == 415, "what would change everything has to be said"


async def test_a_bomb_is_refused_unopened_and_the_program_goes_on(api: Api) -> None:
    bomb = gzip.compress(b"\0" * 200_000_000)
    started = asyncio.get_running_loop().time()
    refused = await api.agent("POST", "/conversations/x/notes", raw=bomb, Content_Encoding="gzip")
    assert refused.status == 415
    assert (await api.agent.get("/conversations")).status == 200
    # By its own default aiohttp alone would linger over what nobody reads for 10 s.
    assert asyncio.get_running_loop().time() - started < 8.0


async def test_a_body_beyond_the_limit_is_refused_however_it_comes(api: Api) -> None:
    async def in_chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    refused = await api.agent("POST", "/conversations/x/notes", raw=b" " * 1_100_000)
    assert (refused.status, refused.slug) == (413, "too-large")
    headers = {"Authorization": f"Bearer {api.agent.token}", "Content-Type": "application/json"}
    async with api.session.post("/api/v1/conversations/x/notes", data=in_chunks(), headers=headers) as answer:
        assert answer.status == 413


async def test_each_answer_carries_the_requests_id_and_headers_that_browsers_heed(api: Api) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    for given, expected in (
        ({"X_Request_Id": "abc-123"}, "abc-123"),
        ({"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}, trace),
        ({"X_Request_Id": "x" * 65}, None),
        ({"X_Request_Id": "a b"}, None),
        ({}, None),
    ):
        for path in ("/conversations", "/nothing", "/conversations/x"):
            reply = await api.agent.get(path, **given)
            told = reply.headers["X-Request-Id"]
            assert told == expected if expected else told.startswith("req_")
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            assert reply.headers["Cache-Control"] == "no-store"
            assert "Access-Control-Allow-Origin" not in reply.headers
            if reply.status >= 400:
                assert reply.body["instance"] == told


async def test_beyond_the_rate_requests_are_refused_and_say_for_how_long(data_dir: Path) -> None:
    async with open_api(data_dir, limits={"api_per_principal": 5, "api_per_owner": 8, "api_per_address": 3}) as api:
        replies = [await api.agent.get("/conversations") for _ in range(11)]  # one too many though the minute turns meanwhile
        assert replies[0].headers["RateLimit-Policy"].startswith('"principal";q=5;w=60')
        refused = [reply for reply in replies if reply.status == 429]
        assert refused
        assert {reply.slug for reply in refused} == {"too-many-requests"}
        assert 1 <= int(refused[0].headers["Retry-After"]) <= 60
        assert ";r=0;" in refused[0].headers["RateLimit"]
        assert (await api.other.get("/conversations")).status == 200
        nameless = [(await api.nobody.get("/conversations")).status for _ in range(8)]
        assert set(nameless) == {401, 429}
