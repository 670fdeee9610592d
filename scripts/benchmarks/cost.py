"""Processor time of each step of a message, measured alone: loops in this process, 32 at a time, everything else in others."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import aiohttp

from benchmarks.database import opened
from benchmarks.queue import KEYED, drained_cpu_seconds
from benchmarks.webhooks import ACCOUNT, NUMBER, TOKEN, of_many_users
from wtai.ai.llm import Assistant, Finish, LlmRequest, Reply, System, User
from wtai.ai.memory.embedder import HashedEmbedder
from wtai.ai.memory.memories import Memories
from wtai.ai.openai import OpenAiLlm
from wtai.ai.specialists import DEFAULT, Specialists
from wtai.ai.tools.general import current_time
from wtai.ai.tools.handoff import call_person
from wtai.ai.tools.http import HttpTools
from wtai.ai.turn import Turns
from wtai.channels.accounts import Accounts
from wtai.channels.sender import Sender
from wtai.channels.twilio.client import TwilioChannel
from wtai.channels.twilio.form import parse_form
from wtai.channels.twilio.inbound import parse
from wtai.clock import SystemClock
from wtai.conversation import store as conversations
from wtai.conversation.inbox import TURN, receive
from wtai.conversation.model import Conversation
from wtai.conversation.outbox import SEND
from wtai.db.sqlite import SqliteDatabase
from wtai.egress import Egress
from wtai.identity.preferences import Preferences
from wtai.jobs.queue import Job
from wtai.secrets import Sealer, read_key_file
from wtai.settings import Settings
from wtai.working import metered, thinker

_AT_ONCE = 32
_HISTORY = 20
_TEXT = "Abrimos aos sábados das 9h às 13h. Posso ajudar com mais alguma coisa?"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Steps:
    """Milliseconds of processor time per message."""

    queue: float
    turn: float
    model_call: float
    send: float


class _InstantModel:
    """Answers without a call."""

    async def reply(self, _request: LlmRequest) -> Reply:
        return Reply(_TEXT, Finish.STOP, "instant")


async def steps(data: Path, twilio_url: str, model_url: str, messages: int) -> Steps:
    """Measure on the installed and otherwise empty database of ``data``."""
    clock = SystemClock()
    async with opened(data / "wtai.db") as database:
        conversations = [await _received(database, raw) for raw in of_many_users(messages, range(messages))]
        sealer = Sealer(read_key_file(data / "wtai.key"))
        http_tools = HttpTools(database, sealer, Egress(), clock)
        meter, memories = metered(Settings(), database, _InstantModel(), clock), Memories(database, HashedEmbedder())
        thinking = thinker(Settings(), database, meter, memories, http_tools, clock)
        turns = Turns(database, thinking, clock, base=Preferences(), show_typing=_show_nothing)
        turn = await _spent(turns.handle, [_job(TURN, "conversation_id", one) for one in conversations])
        rows = await database.system_read(lambda tx: tx.all("SELECT id FROM messages WHERE direction = 'outbound' ORDER BY id"))
        channel = TwilioChannel(base_url=twilio_url)
        accounts = Accounts(database, sealer, clock)
        sender = Sender(database, accounts, {"whatsapp": channel}, clock, reconcile_ms=60_000)
        send = await _spent(sender.handle, [_job(SEND, "message_id", row["id"]) for row in rows])
        await channel.close()
    queue = await drained_cpu_seconds(data / "queue.db", KEYED, 2 * messages) * 1000 / messages
    return Steps(queue, turn, await _model_call(model_url, messages), send)


async def fakes_alone(twilio_url: str, model_url: str, messages: int) -> float:
    """Messages per second when nothing but a client stands between the two fakes."""
    body = {"model": "echo", "messages": [{"role": "user", "content": "oi"}]}
    send_url = f"{twilio_url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}

    async def pass_on(number: int) -> None:
        async with session.post(f"{model_url}/v1/chat/completions", json=body) as answer:
            text = (await answer.json())["choices"][0]["message"]["content"]
        form = {"To": f"whatsapp:+5511{900_000_000 + number}", "From": NUMBER, "Body": text}
        async with session.post(send_url, data=form, headers=headers) as answer:
            answer.raise_for_status()

    async with aiohttp.ClientSession() as session:
        started = time.perf_counter()
        await _each(pass_on, range(messages))
        return messages / (time.perf_counter() - started)


async def _model_call(model_url: str, messages: int) -> float:
    agent = Specialists((current_time(), call_person()), router_model=None).of("pt-BR", ()).agents[DEFAULT]
    said = [User("qual é o horário de sábado?") if n % 2 == 0 else Assistant(_TEXT) for n in range(_HISTORY)]
    request = LlmRequest((System(agent.prompt), *said, User("e domingo?")), tools=agent.specs)
    llm = OpenAiLlm(base_url=f"{model_url}/v1", api_key="benchmark", model="echo")
    await _spent(llm.reply, [request] * _AT_ONCE)  # imports the SDK and opens the connections
    spent = await _spent(llm.reply, [request] * messages)
    await llm.close()
    return spent


async def _spent(work: Callable[[_T], Awaitable[object]], arguments: Sequence[_T]) -> float:
    """Milliseconds of processor time, all threads, for one call of ``work``."""
    before = time.process_time()
    await _each(work, arguments)
    return (time.process_time() - before) * 1000 / len(arguments)


async def _each(work: Callable[[_T], Awaitable[object]], arguments: Iterable[_T]) -> None:
    waiting = iter(arguments)

    async def one_after_the_other() -> None:
        for argument in waiting:
            await work(argument)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(one_after_the_other())


async def _show_nothing(_owner_id: int, _conversation: Conversation, _inbound_sid: str) -> None:
    return


async def _received(database: SqliteDatabase, raw: bytes) -> int:
    """Keep the message of a request; returns its conversation, which a specialist has."""
    form = parse_form(raw.partition(b"\r\n\r\n")[2], "application/x-www-form-urlencoded", max_fields=100)
    received = await database.write(1, receive, parse(form), Preferences(burst_quiet_ms=0), now=SystemClock().now())
    if received.conversation_id is None:
        raise RuntimeError("the message was there already")
    await database.write(1, conversations.set_feature, received.conversation_id, DEFAULT)
    return received.conversation_id


def _job(kind: str, name: str, value: int) -> Job:
    return Job(1, 1, kind, None, f'{{"{name}":{value}}}', 1, 0, 0)
