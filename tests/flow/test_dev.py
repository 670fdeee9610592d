"""``wtai dev`` as a person meets it: one command, a page to click, nothing left behind."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.program import ROOT

ANA = "whatsapp:+5511987654321"
QUICK = {"WTAI_CONVERSATION__BURST_QUIET_MS": "50"}


@dataclass(frozen=True, slots=True)
class Dev:
    """A running ``wtai dev`` and what it printed until it was ready."""

    process: asyncio.subprocess.Process
    said: str

    def url(self, name: str) -> str:
        found = re.search(rf"─ {name} +(http://\S+)", self.said)
        assert found, self.said
        return found[1].rstrip("/")

    async def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        await asyncio.wait_for(self.process.communicate(), 60)
        assert self.process.returncode is not None
        return self.process.returncode


@asynccontextmanager
async def dev(*arguments: str, tmp: Path, **environment: str) -> AsyncIterator[Dev]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wtai", "dev", "--port", "0", *arguments,
        cwd=tmp, env={**clean, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp), **QUICK, **environment},
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr
    said = ""
    try:
        async with asyncio.timeout(60):
            while "Ready" not in said and (line := await process.stderr.readline()):
                said += line.decode()
        yield Dev(process, said)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def left_in(directory: Path) -> list[str]:
    return [entry.name for entry in directory.iterdir()]


async def answer_of(session: aiohttp.ClientSession, page: str, text: str, *, answers: int = 1) -> str:
    """Write as a customer through the page's own routes; the last of so many answers, once it was read."""
    async with session.post(f"{page}/messages", json={"from": ANA, "body": text}) as sent:
        assert (await sent.json())["status"] == 200
    async with asyncio.timeout(60):
        while True:
            async with session.get(f"{page}/state") as response:
                replies = [message for message in (await response.json())["messages"] if not message["inbound"]]
            if len(replies) >= answers and replies[-1]["status"] == "read":
                return str(replies[-1]["body"])
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_one_command_chats_without_keys_and_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    async with dev(tmp=tmp_path) as running, aiohttp.ClientSession() as session:
        assert "not for production" in running.said
        assert await answer_of(session, running.url("Simulator"), "oi") == "Olá!\nComo posso ajudar?"
        async with session.get(running.url("Health")) as health:
            assert health.status == 200
        async with session.post(running.url("Webhook"), data={"AccountSid": "AC" + "0" * 32}) as forged:
            assert forged.status in (400, 403)
        assert left_in(tmp_path)
        assert await running.stop(number) == 0
    assert left_in(tmp_path) == []


async def test_with_a_data_directory_owner_and_conversation_are_there_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with dev("--data-dir", str(data), tmp=tmp_path) as first, aiohttp.ClientSession() as session:
        await answer_of(session, first.url("Simulator"), "Meu nome é Ana")
        assert await first.stop(signal.SIGTERM) == 0
    async with dev("--data-dir", str(data), tmp=tmp_path) as second, aiohttp.ClientSession() as session:
        assert re.search(r"own_\w+", second.said)[0] == re.search(r"own_\w+", first.said)[0]  # type: ignore[index]
        assert "Ana" in await answer_of(session, second.url("Simulator"), "Qual é o meu nome?")


async def test_the_demo_owner_has_every_specialist(tmp_path: Path) -> None:
    async with dev(tmp=tmp_path) as running, aiohttp.ClientSession() as session:
        page = running.url("Simulator")
        assert "Registrei: despesa de R$ 32,50 (almoço" in await answer_of(session, page, "gastei 32,50 no almoço")
        assert "Anotei" in await answer_of(session, page, "o aniversário da minha mãe é 14 de agosto", answers=2)
        assert "em 14/08" in await answer_of(session, page, "quando é o aniversário da minha mãe?", answers=3)
        await running.stop(signal.SIGTERM)


def _jar(running: Dev) -> aiohttp.CookieJar:
    """As browsers do, one that takes this machine for secure."""
    return aiohttp.CookieJar(unsafe=True, treat_as_secure_origin=running.url("Console").partition("/console")[0])


async def test_a_newcomer_is_in_the_console_by_one_click_and_the_pages_link_to_each_other(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with dev("--data-dir", str(data), tmp=tmp_path) as running, aiohttp.ClientSession(cookie_jar=_jar(running)) as session:
        entrance, page = running.url("Console"), running.url("Simulator")
        assert "/console/setup/" in entrance
        async with session.get(f"{page}/state") as state:
            assert (await state.json())["console"] == entrance
        async with session.get(entrance) as form:
            filled = dict(re.findall(r'name="(\w+)" +value="([^"]+)"', await form.text()))
        assert set(filled) >= {"name", "email", "password"}
        async with session.post(entrance, data=filled, headers={"Sec-Fetch-Site": "same-origin"}) as inside:
            assert inside.url.path == "/console/setup/first"
            text = await inside.text()
        assert f'href="{page}/"' in text
        assert "Esperando a primeira mensagem" in text
        await answer_of(session, page, "oi")
        async with session.get(inside.url, headers={"HX-Request": "true"}) as heard:
            assert "A primeira mensagem chegou" in await heard.text()
        await running.stop(signal.SIGTERM)
    async with dev("--data-dir", str(data), tmp=tmp_path) as again:
        assert again.url("Console").endswith("/console")
        await again.stop(signal.SIGTERM)


async def test_keys_and_places_of_the_environment_do_not_reach_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    environment = {
        "WTAI_OPENAI__BASE_URL": "http://127.0.0.1:9/v1",
        "WTAI_TWILIO__BASE_URL": "http://127.0.0.1:9",
        "WTAI_DATABASE__URL": f"sqlite:///{outside}/wtai.db",
    }
    async with dev(tmp=tmp_path, **environment) as running, aiohttp.ClientSession() as session:
        assert await answer_of(session, running.url("Simulator"), "oi") == "Olá!\nComo posso ajudar?"
        await running.stop(signal.SIGTERM)
    assert not outside.exists()


async def test_the_data_of_real_owners_are_refused_untouched(tmp_path: Path) -> None:
    clean = {**{name: value for name, value in os.environ.items() if not name.startswith("WTAI_")}, "PYTHONPATH": str(ROOT)}

    async def wtai(*arguments: str) -> tuple[int | None, str]:
        command = [sys.executable, "-m", "wtai", "--data-dir", str(tmp_path), *arguments]
        process = await asyncio.create_subprocess_exec(*command, env=clean, stderr=asyncio.subprocess.PIPE)
        _, err = await asyncio.wait_for(process.communicate(), 20)
        return process.returncode, err.decode()

    assert (await wtai("init"))[0] == 0
    assert (await wtai("owner", "create", "--name", "Padaria"))[0] == 0
    code, err = await wtai("dev", "--port", "0")
    assert code == 4
    assert "owners of its own" in err


async def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    async with dev(tmp=tmp_path) as first:
        port = first.url("Webhook").split(":")[2].split("/")[0]
        async with dev("--port", port, tmp=tmp_path) as second:
            assert await second.process.wait() == 4
            assert f"cannot listen on 127.0.0.1:{port}" in second.said
