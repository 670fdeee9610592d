"""The first run: who has the printed link is the administrator, once; nobody else learns anything."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.fakes import ManualClock
from tests.program import World, open_world, person
from tests.web.api_client import QUICK_SECURITY
from tests.web.console_client import Visitor, open_staff
from wtai.app import Running, running
from wtai.clock import MINUTE
from wtai.identity.access import Role
from wtai.identity.audit_store import OPERATOR
from wtai.identity.first_run import LIFETIME_MS, SetUpLink
from wtai.identity.registration import add_user
from wtai.web.console.session import COOKIE

FORM = {
    "name": "Ana Chefe",
    "email": "ana@padaria.example",
    "password": "quatro cavalos azuis",
    "business": "Padaria da Ana",
    "locale": "pt-BR",
}
SID = "AC" + "ab" * 16


@dataclass(frozen=True)
class Fresh:
    """A program at its first start, and somebody before it."""

    world: World
    program: Running
    visitor: Visitor

    @property
    def link(self) -> str:
        return self.program.console_path

    async def set_up(self, **changed: str) -> int:
        reply = await self.visitor.post(self.link, {**FORM, **changed})
        if reply.status == 303:
            self.visitor.cookie = reply.headers["Set-Cookie"].partition(f"{COOKIE}=")[2].partition(";")[0]
        return reply.status

    def count(self, table: str) -> int:
        return int(self.world.value(f"SELECT count(*) FROM {table} WHERE id > 0"))


@asynccontextmanager
async def fresh_at(data_dir: Path, *, owners: int = 0, **sections: Mapping[str, object]) -> AsyncIterator[Fresh]:
    async with (
        open_world(data_dir, owners=owners) as world,
        world.running(**{"security": QUICK_SECURITY, **sections}) as program,
        aiohttp.ClientSession(program.url, cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield Fresh(world, program, Visitor(session))


@pytest.fixture
async def fresh(data_dir: Path) -> AsyncIterator[Fresh]:
    async with fresh_at(data_dir) as opened:
        yield opened


async def test_the_link_makes_the_administrator_and_the_owner_and_logs_in(fresh: Fresh) -> None:
    assert re.fullmatch(r"/console/setup/[\w-]{40,}", fresh.link)
    assert "Name of the business" in (await fresh.visitor.get(fresh.link)).text
    assert await fresh.set_up() == 303
    [owner] = fresh.world.rows("SELECT id, name, locale FROM owners WHERE id > 0")
    assert (owner["name"], owner["locale"]) == ("Padaria da Ana", "pt-BR")
    [admin] = fresh.world.rows("SELECT * FROM users")
    assert (admin["owner_id"], admin["role"], admin["email"]) == (owner["id"], "admin", "ana@padaria.example")
    assert fresh.world.value("SELECT count(*) FROM subscriptions") == 1
    assert [row["action"] for row in fresh.world.rows("SELECT action FROM audit_log ORDER BY id")] == [
        "owners.create",
        "users.create",
        "sessions.create",
    ]
    assert (await fresh.visitor.get("/console/setup/number")).status == 200


async def test_an_owner_without_an_administrator_gets_one(data_dir: Path) -> None:
    async with fresh_at(data_dir, owners=1) as fresh:
        page = await fresh.visitor.get(fresh.link)
        assert "Padaria 1" in page.text
        assert "Name of the business" not in page.text
        assert await fresh.set_up() == 303
        assert fresh.count("owners") == 1
        assert (await fresh.visitor.get("/console/setup/number")).headers["Location"] == "/console/setup/first"


async def test_a_program_with_an_administrator_has_no_link(data_dir: Path) -> None:
    async with open_world(data_dir) as world:
        async with world.running() as program:
            assert "/setup/" in program.console_path
            await program.database.write(
                world.line.owner_id, add_user, Role.ADMIN, "Ana", "ana@padaria.example", "x", actor=OPERATOR, now=0
            )
        async with world.running() as program:
            assert program.console_path == "/console"


async def test_used_expired_wrong_and_replaced_links_are_told_alike(data_dir: Path) -> None:
    clock = ManualClock()
    link = SetUpLink(clock)
    first = link.issue()
    assert link.is_good(first)
    second = link.issue()
    assert not link.is_good(first)
    clock.advance(LIFETIME_MS - 1)
    assert link.is_good(second)
    clock.advance(1)
    assert not link.is_good(second)
    assert LIFETIME_MS == 30 * MINUTE

    async with fresh_at(data_dir) as fresh:
        wrong = await fresh.visitor.get("/console/setup/" + "x" * 43)
        assert await fresh.set_up() == 303
        fresh.visitor.cookie = None
        used, posted = await fresh.visitor.get(fresh.link), await fresh.visitor.post(fresh.link, FORM)
        assert {wrong.status, used.status, posted.status} == {404}
        assert wrong.text == used.text == posted.text
        assert "wtai run" in wrong.text
        assert fresh.count("users") == 1


async def test_an_expired_link_makes_nobody(data_dir: Path) -> None:
    clock = ManualClock()
    async with open_world(data_dir, owners=0) as world:
        settings = world.settings(security={**QUICK_SECURITY, "key_file": str(data_dir / "wtai.key")})
        async with (
            running(settings, role="web", clock=clock) as program,
            aiohttp.ClientSession(program.url, cookie_jar=aiohttp.DummyCookieJar()) as session,
        ):
            visitor = Visitor(session)
            assert (await visitor.get(program.console_path)).status == 200
            clock.advance(LIFETIME_MS)
            assert (await visitor.post(program.console_path, FORM)).status == 404
    assert world.value("SELECT count(*) FROM users") == 0


async def test_of_two_who_submit_at_once_one_is_the_administrator(fresh: Fresh) -> None:
    forms = [{**FORM, "email": f"ana{number}@padaria.example"} for number in range(4)]
    replies = await asyncio.gather(*[fresh.visitor.post(fresh.link, form) for form in forms])
    assert sorted(reply.status for reply in replies) == [303, 404, 404, 404]
    assert (fresh.count("owners"), fresh.count("users")) == (1, 1)


async def test_nothing_is_made_unless_all_of_it_is(fresh: Fresh) -> None:
    # The last row of the registration cannot be written: the owner, its subscription and the user go with it.
    trigger = (
        "CREATE TRIGGER broken BEFORE INSERT ON audit_log WHEN NEW.action = 'users.create' BEGIN SELECT RAISE(ABORT, 'x'); END"
    )
    await fresh.program.database.system_write(lambda tx: tx.run(trigger))
    assert await fresh.set_up() in (500, 503)
    assert (fresh.count("owners"), fresh.count("users"), fresh.world.value("SELECT count(*) FROM subscriptions")) == (0, 0, 0)
    await fresh.program.database.system_write(lambda tx: tx.run("DROP TRIGGER broken"))
    assert await fresh.set_up() == 303


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"password": "curta"}, "This password cannot be taken."),
        ({"password": "ana@padaria.example"}, "This password cannot be taken."),
        ({"password": "minhasenha123"}, "This password cannot be taken."),
        ({"email": "ana"}, "looks like ana@example.com"),
        ({"name": " "}, "Write your name"),
        ({"business": ""}, "Write what the business is called"),
        ({"locale": "xx"}, "Choose one of these."),
    ],
)
async def test_what_does_not_fit_is_told_and_the_link_stays_good(fresh: Fresh, changed: dict[str, str], told: str) -> None:
    reply = await fresh.visitor.post(fresh.link, {**FORM, **changed})
    assert reply.status == 422
    assert told in reply.text
    assert changed.get("password", "quatro cavalos azuis") not in re.sub(r'name="email" value="[^"]*"', "", reply.text)
    assert fresh.count("users") == 0
    assert await fresh.set_up() == 303


async def test_who_guesses_waits(fresh: Fresh) -> None:
    replies = [await fresh.visitor.get(f"/console/setup/{number}{'x' * 40}") for number in range(8)]
    assert [reply.status for reply in replies[:5]] == [404] * 5
    assert replies[-1].status == 429
    assert int(replies[-1].headers["Retry-After"]) >= 1
    elsewhere = await fresh.visitor.get(fresh.link, X_Forwarded_For="203.0.113.9")
    assert elsewhere.status == 200


async def test_without_a_link_one_learns_how_to_get_one(fresh: Fresh) -> None:
    alone = await fresh.visitor.get("/console/setup")
    assert alone.status == 200
    assert "wtai run" in alone.text
    fresh.visitor.language = "pt-BR"
    assert "Um link de configuração vale uma vez" in (await fresh.visitor.get("/console/setup")).text


async def test_the_door_leads_to_the_set_up_while_nobody_can_log_in(fresh: Fresh) -> None:
    assert (await fresh.visitor.get("/console/login")).headers["Location"] == "/console/setup"
    await fresh.set_up()
    fresh.visitor.cookie = None
    assert (await fresh.visitor.get("/console/login")).status == 200


async def test_each_start_prints_a_link_of_its_own_until_there_is_an_administrator(data_dir: Path, free_port: int) -> None:
    async with open_world(data_dir, owners=0) as world:
        for _ in range(2):
            process = world.process(free_port, security=QUICK_SECURITY)
            async with process:
                process.terminate()
                assert await process.exit_code() == 0
        async with world.process(free_port, security=QUICK_SECURITY) as process, aiohttp.ClientSession() as session:
            printed = re.findall(rf"─ Console  (http://127.0.0.1:{free_port}/console\S*)", process.log)
            assert len(set(printed)) == 3
            for number, link in enumerate(printed):
                reply = await Visitor(session).post(link, {**FORM, "email": f"ana{number}@padaria.example"})
                assert reply.status == (303 if number == 2 else 404)
        async with world.process(free_port) as process:
            assert re.findall(r"─ Console  (\S+)", process.log)[-1] == f"http://127.0.0.1:{free_port}/console"


async def test_who_is_in_already_goes_to_the_inbox(fresh: Fresh) -> None:
    await fresh.set_up()
    assert (await fresh.visitor.get(fresh.link)).headers["Location"] == "/console"


async def test_another_site_cannot_submit_it(fresh: Fresh) -> None:
    assert (await fresh.visitor.post(fresh.link, FORM, Sec_Fetch_Site="cross-site")).status == 403
    assert fresh.count("users") == 0


async def test_the_link_is_in_no_log(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with fresh_at(data_dir, logging={"level": "debug"}) as fresh:
        await fresh.visitor.get(fresh.link)
        await fresh.set_up()
        said = capsys.readouterr()
        assert "console.answered" in said.out + said.err
        assert fresh.link.rpartition("/")[2] not in said.out + said.err


async def test_a_number_is_connected_and_the_first_message_awaited(fresh: Fresh) -> None:
    await fresh.set_up()
    page = await fresh.visitor.get("/console/setup/number")
    assert "/webhooks/twilio/inbound#rc=3&amp;rp=all" in page.text
    assert "server.public_url" in page.text
    assert (await fresh.visitor.get("/console/setup/first", HX_Request="true")).text.count("Waiting for the first message") == 1
    given = {"sid": SID, "token": "segredo-" + "x" * 20, "channel": "whatsapp", "number": "+55 (11) 3000-0000"}
    for field, value in (("sid", "AC12"), ("token", "curto"), ("number", "3000-0000"), ("channel", "fax")):
        wrong = await fresh.visitor.post("/console/setup/number", {**given, field: value})
        assert wrong.status == 422
        assert given["token"] not in wrong.text
    done = await fresh.visitor.post("/console/setup/number", given)
    assert (done.status, done.headers["Location"]) == (303, "/console/setup/first")
    assert fresh.world.value("SELECT address FROM twilio_numbers") == "whatsapp:+551130000000"
    assert given["token"] not in str(fresh.world.rows("SELECT * FROM twilio_accounts"))
    assert fresh.world.value("SELECT target FROM audit_log WHERE action = 'channel_accounts.create'") == SID

    fresh.world.twilio.add_account(SID, given["token"], numbers=("whatsapp:+551130000000",))
    await fresh.world.twilio.send(person(1), "whatsapp:+551130000000", "oi <b>", profile_name="Maria")
    heard = await fresh.visitor.get("/console/setup/first", HX_Request="true")
    assert "Maria" in heard.text
    assert "oi &lt;b&gt;" in heard.text
    assert "/console/c/" in heard.text


async def test_only_administrators_connect_numbers(data_dir: Path) -> None:
    async with open_staff(data_dir) as staff:
        for path in ("/console/setup/number", "/console/setup/first"):
            assert (await staff.agent.get(path)).status == 403
            assert (await staff.nobody.get(path)).headers["Location"].startswith("/console/login?next=")
        assert (await staff.agent.post("/console/setup/number", {})).status == 403
