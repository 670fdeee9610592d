"""``scripts/simulate.py``: the default scenario passes, and a program that breaks a promise is found out."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from aiohttp import web

from tests.program import ROOT
from wtai.clock import SystemClock
from wtai.simulator import scenario
from wtai.simulator.player import Happened, Played, Player
from wtai.simulator.server import Listener
from wtai.simulator.twilio import FakeTwilio

# As scripts/simulate.py starts once it is inside its own environment.
SIMULATE = "import sys; sys.path.insert(0, 'scripts'); import simulate; sys.exit(simulate.main(sys.argv[1:]))"
ACCOUNT, TOKEN, NUMBER = "AC" + "1" * 32, "t" * 32, "whatsapp:+551130000000"
SHORT = """
name = "One greeting"
[customers.ana]
name = "Ana"
address = "whatsapp:+5511987650001"
[[scenes]]
title = "Hello"
[[scenes.steps]]
who = "ana"
say = "Oi"
expect = { contains = "Olá" }
"""


@dataclass(frozen=True, slots=True)
class Ended:
    code: int | None
    out: str
    err: str


async def start(*arguments: str, tmp: Path) -> asyncio.subprocess.Process:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", SIMULATE, *arguments,
        cwd=ROOT, env={**clean, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp)},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def simulate(*arguments: str, tmp: Path) -> Ended:
    process = await start(*arguments, tmp=tmp)
    try:
        out, err = await asyncio.wait_for(process.communicate(), 300)
    finally:
        if process.returncode is None:
            process.kill()
    return Ended(process.returncode, out.decode(), err.decode())


@pytest.fixture
def tmp(tmp_path: Path) -> Path:
    """Where the simulation makes its data directory."""
    path = tmp_path / "tmp"
    path.mkdir()
    return path


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.toml"
    path.write_text(SHORT)
    return path


def write(file: Path, text: str) -> None:
    file.write_text(text, "utf-8")


def left_in(directory: Path) -> list[str]:
    return [entry.name for entry in directory.iterdir()]


async def test_the_default_scenario_passes_and_its_report_is_all_there_is_on_stdout(tmp: Path) -> None:
    done = await simulate("--json", tmp=tmp)
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["ok"]
    assert report["kills"] == 2
    assert report["seconds"] < 240
    assert all(check["kept"] for check in report["checks"])
    everybody = {"Ana Lima", "Bruno Reis", "Célia Souza", "Davi Alves", "Elisa Prado", "Gabi Nunes", "Hugo Paz"}
    assert {step["who"] for step in report["steps"]} == everybody
    assert "Célia Souza  → Que horas são?" in done.err
    assert re.search(r"Célia Souza  ← Agora são \d\d:\d\d .* \d+ ms", done.err)
    assert left_in(tmp) == []


@pytest.mark.parametrize(
    ("expectation", "complaint"),
    [
        ('expect = { contains = "Adeus" }', "no answer contains 'Adeus'"),
        ('expect = { excludes = "Olá" }', "an answer contains 'Olá'"),
        ("expect = { webhook = 403 }", "the webhook was answered 200, not 403"),
    ],
)
async def test_a_play_that_goes_otherwise_than_expected_fails_and_says_where(
    tmp: Path, short: Path, expectation: str, complaint: str
) -> None:
    write(short, SHORT.replace('expect = { contains = "Olá" }', expectation))
    done = await simulate("--scenario", str(short), tmp=tmp)
    assert done.code == 1
    assert f"Ana, Oi: {complaint}" in done.out
    assert "FAILED  every step went as expected" in done.out


async def test_a_scene_of_the_past_is_lived_by_a_clock_set_back_and_the_next_one_by_the_true_one(tmp: Path, short: Path) -> None:
    today = datetime.now(UTC).astimezone(ZoneInfo("America/Sao_Paulo")).date()
    then, now = (f"{day:%d/%m/%Y}" for day in (today - timedelta(12), today))
    scene = SHORT.partition("[[scenes]]")[2].replace('say = "Oi"', 'say = "Que dia é hoje?"')
    past = scene.replace('"Hello"', '"Hello"\ndays_ago = 12').replace("Olá", then)
    write(short, f"{SHORT.partition('[[scenes]]')[0]}[[scenes]]{past}[[scenes]]{scene.replace('Olá', now)}")
    done = await simulate("--scenario", str(short), tmp=tmp)
    assert done.code == 0, done.out
    assert "by the program's clock it is 12 days ago" in done.out


async def test_with_ui_it_stays_up_with_the_page_until_it_is_told_to_stop(tmp: Path, short: Path) -> None:
    process = await start("--ui", "--scenario", str(short), tmp=tmp)
    assert process.stdout
    said = ""
    async with asyncio.timeout(60):
        while "Ctrl-C" not in said:
            said += (await process.stdout.readline()).decode()
    (page,) = set(re.findall(r"http://\S+/(?=\s|$)", said))
    async with aiohttp.ClientSession() as session, session.get(f"{page}state") as state:
        assert [message["body"] for message in (await state.json())["messages"]] == ["Oi", "Olá!\nComo posso ajudar?"]
    process.terminate()
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    assert left_in(tmp) == []


async def test_ended_in_the_middle_it_leaves_neither_process_nor_data(tmp: Path) -> None:
    process = await start(tmp=tmp)
    assert process.stdout
    said = ""
    async with asyncio.timeout(60):
        while "←" not in said:
            said += (await process.stdout.readline()).decode()
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 130
    assert left_in(tmp) == []
    program = re.search(r"program (http://\S+)", said)
    assert program
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{program[1]}/health")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("name = ", "title = "), "name: Field required"),
        (('who = "ana"', 'who = "bia"'), "scenes[0] has a step of 'bia'; customers are ana"),
        (('say = "Oi"', ""), "scenes[0].steps[0]: sends nothing: give it say, voice, image or location"),
        (("contains", "contain"), "scenes[0].steps[0].expect.contain: Extra inputs are not permitted"),
        (('say = "Oi"', 'say = "Oi"\nfaults = [{ kind = "418" }]'), "scenes[0].steps[0].faults[0].kind: Input should be '429'"),
        (("[[scenes]]", f"[[scenes]]{SHORT.partition('[[scenes]]')[2]}[[scenes]]\ndays_ago = 1"), "time goes forward"),
        (('contains = "Olá"', "matches = '('"), "scenes[0].steps[0].expect.matches: is no regular expression"),
        (("whatsapp:+5511987650001", "ana@example.com"), "customers.ana.address: String should match pattern"),
        (("[[scenes]]", "[[scenes]"), "is not TOML: Expected ']]' at the end of an array declaration (at line 6"),
    ],
)
def test_a_wrong_scenario_is_told_by_place(short: Path, change: tuple[str, str], complaint: str) -> None:
    short.write_text(SHORT.replace(*change, 1))
    with pytest.raises(scenario.ScenarioError) as told:
        scenario.load(short)
    assert f"{short}" in str(told.value)
    assert complaint in str(told.value)


async def test_a_scenario_that_is_not_there_is_told_without_a_traceback(tmp: Path) -> None:
    done = await simulate("--scenario", str(tmp / "none.toml"), tmp=tmp)
    assert done.code == 2
    assert done.err == f"error: cannot read {tmp / 'none.toml'}: No such file or directory\n"


class Careless:
    """A program that answers at once from the webhook itself: twice if ``times`` says so, and to whoever asks."""

    days_ago = 0

    def __init__(self, twilio: FakeTwilio, *, times: int = 1) -> None:
        self._twilio = twilio
        self._times = times
        self._listener = Listener()

    async def kill(self) -> None:
        await self._listener.close()

    async def start(self) -> None:
        app = web.Application()
        app.add_routes([web.post("/webhooks/twilio/inbound", self._answer)])
        self._twilio.webhook_url = await self._listener.start(app, "127.0.0.1", 0)

    async def stop(self) -> int:
        await self.kill()
        return 0

    async def at_rest(self) -> None:
        await asyncio.sleep(0)

    async def _answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        url = f"{self._twilio.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
        answer = {"From": NUMBER, "To": str(form["From"]), "Body": "Olá!"}
        async with aiohttp.ClientSession(headers={"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}) as session:
            for _ in range(self._times):
                async with session.post(url, data=answer) as taken:
                    assert taken.status == 201
        return web.Response()


@asynccontextmanager
async def careless(*, times: int = 1) -> AsyncIterator[tuple[FakeTwilio, Careless]]:
    async with FakeTwilio(SystemClock()) as twilio:
        twilio.statuses = ("sent", "read")
        twilio.add_account(ACCOUNT, TOKEN, numbers=(NUMBER,))
        program = Careless(twilio, times=times)
        await program.start()
        yield twilio, program
        await program.kill()


async def played(text: str, short: Path, twilio: FakeTwilio, program: Careless) -> list[Played]:
    write(short, text)
    told: list[Happened] = []
    return await Player(scenario.load(short), twilio, NUMBER, program, SystemClock(), told.append).play()


async def test_an_answer_too_many_is_found(short: Path) -> None:
    async with careless(times=2) as (twilio, program):
        (step,) = await played(SHORT, short, twilio, program)
    assert step.problems == ["Ana got 1 messages more than expected"]


async def test_an_answer_too_few_is_found(short: Path) -> None:
    async with careless() as (twilio, program):
        (step,) = await played(SHORT.replace('contains = "Olá"', "answers = 2, within_ms = 500"), short, twilio, program)
    assert step.problems == ["1 of 2 answers within 500 ms"]


async def test_a_program_that_answers_a_repeated_webhook_again_is_found(short: Path) -> None:
    async with careless() as (twilio, program):
        (step,) = await played(SHORT.replace('say = "Oi"', 'say = "Oi"\nrepeated = true'), short, twilio, program)
    assert step.problems == ["Ana got 2 messages more than expected"]


async def test_a_program_that_takes_a_forged_webhook_is_found(short: Path) -> None:
    forged = SHORT.replace('say = "Oi"', 'say = "Oi"\nforged = true').replace('contains = "Olá"', "webhook = 403, answers = 0")
    async with careless() as (twilio, program):
        (step,) = await played(forged, short, twilio, program)
    assert step.problems == ["the webhook was answered 200, not 403", "Ana got 1 messages more than expected"]
