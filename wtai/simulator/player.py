"""Plays a scenario against a program through the fake Twilio, and holds what happened against what was expected."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from wtai.clock import Clock
from wtai.simulator.phone import location_fields
from wtai.simulator.scenario import Customer, Scenario, Step
from wtai.simulator.twilio import FakeTwilio
from wtai.simulator.twilio_faults import TwilioFault
from wtai.simulator.twilio_forms import inbound_form
from wtai.simulator.twilio_messages import Accepted, Message, Pairs, fresh_sid
from wtai.simulator.twilio_webhooks import WebhookResult
from wtai.simulator.voice import voice_note

_TWILIO_INSISTS_SECONDS: Final = 15.0
_STATUS_SECONDS: Final = 8.0
_WRONG_SIGNATURE: Final = "bm90IHNpZ25lZCBieSBUd2lsaW8="
# One pixel: the smallest file that every viewer shows.
_PICTURE: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)


class Program(Protocol):
    """The program under test, which the player can end as an accident would, and start in another time: ``days_ago`` is how far
    its clock is set back from the next start on.
    """

    days_ago: int

    async def kill(self) -> None:
        """SIGKILL."""

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""

    async def start(self) -> None:
        """Start it and return once it takes messages."""

    async def at_rest(self) -> None:
        """Return once it has nothing left to do. Raises TimeoutError."""


@dataclass(frozen=True, slots=True)
class Happened:
    """Something to tell, ``at_ms`` after the start. ``kind``: scene, said, answered or event; ``took_ms`` of an answer."""

    at_ms: int
    kind: str
    text: str
    who: str = ""
    took_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message of a customer, and how a person who reads along sees it."""

    shown: str
    body: str = ""
    media: tuple[tuple[str, bytes], ...] = ()
    extra: Pairs = ()


@dataclass(slots=True)
class Played:
    """A step as it went. ``took_ms`` from its first webhook to the last of its answers; no ``problems`` if all went well."""

    scene: str
    who: str
    said: list[str]
    answers: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    took_ms: int | None = None
    problems: list[str] = field(default_factory=list)


class Player:
    """Plays one scenario once. ``acknowledged`` are the ids of the messages that the program answered with 200, ``kills`` how
    often it was killed.
    """

    def __init__(
        self,
        scenario: Scenario,
        twilio: FakeTwilio,
        number: str,
        program: Program,
        clock: Clock,
        tell: Callable[[Happened], None],
    ) -> None:
        self.acknowledged: set[str] = set()
        self.kills = 0
        self._scenario = scenario
        self._twilio = twilio
        self._number = number
        self._program = program
        self._clock = clock
        self._tell = tell
        self._names = {customer.address: customer.name for customer in scenario.customers.values()}
        self._asked_at: dict[str, int] = {}
        self._told: set[str] = set()
        self._started_at = 0

    async def play(self) -> list[Played]:
        """Play all scenes; returns their steps in the order of the file."""
        self._started_at = self._clock.now()
        self._twilio.watch(self._heard)
        results: list[Played] = []
        for scene in self._scenario.scenes:
            self._say("scene", scene.title)
            await self._be(scene.days_ago)
            played = {id(step): Played(scene.title, self._customer(step).name, []) for step in scene.steps}
            expected = {
                who: self._count(who) + sum(s.expect.answers for s in steps) for who, steps in scene.by_customer().items()
            }
            await self._act([[(step, played[id(step)]) for step in steps] for steps in scene.by_customer().values()])
            in_order = [played[id(step)] for step in scene.steps]
            await self._settle(expected, in_order)
            results += in_order
        return results

    async def _be(self, days_ago: int) -> None:
        """Let the program be in the time of a scene."""
        if self._program.days_ago != days_ago:
            await self._program.stop()
            self._program.days_ago = days_ago
            await self._program.start()
        if days_ago:
            self._say("event", f"by the program's clock it is {days_ago} days ago")

    async def _act(self, customers: Sequence[Sequence[tuple[Step, Played]]]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for steps in customers:
                    group.create_task(self._follow(steps))
        except ExceptionGroup as failures:
            # Where the program does not come back, one customer's failure is everybody's.
            raise failures.exceptions[0] from failures

    async def _follow(self, steps: Sequence[tuple[Step, Played]]) -> None:
        for step, played in steps:
            try:
                await self._play(step, played)
            except TimeoutError:
                played.problems.append("the program neither answered nor took webhooks in time")

    async def _play(self, step: Step, played: Played) -> None:
        customer = self._customer(step)
        before = self._count(step.who)
        self._arm(step, customer)
        self._asked_at[customer.address] = asked_at = self._clock.now()
        sids = [await self._send(step, customer, outgoing, played) for outgoing in _outgoing(step)]
        if step.kill == "heard":
            await self._kill("in the middle of the turn")
        elif step.kill == "sent":
            await self._twilio.until(lambda: self._count(step.who) > before, step.expect.within_ms / 1000)
            await self._kill("while Twilio holds the answer to its call")
        await self._await_answers(step, before, played)
        if step.repeated:
            self._say("event", f"the webhook comes once more: {customer.name}")
            for sid in sids:
                self._check_webhook(step, await self._twilio.redeliver(sid), played)
        answers = self._sent_to(step.who)[before:]
        played.answers = [answer.body for answer in answers]
        played.took_ms = answers[-1].at - asked_at if answers else None
        played.statuses = [message.status for message in self._messages(answers[: step.expect.answers])]
        played.problems += _unexpected(step, played)

    def _arm(self, step: Step, customer: Customer) -> None:
        for fault in step.faults:
            befalls = self._number if fault.kind is TwilioFault.WEBHOOK_DUPLICATED else customer.address
            self._twilio.faults.arm(
                fault.kind, times=fault.times, retry_after=fault.retry_after, seconds=fault.seconds, to=befalls
            )
            self._say("event", f"Twilio will commit {fault.kind.value} on {customer.name}")
        if step.repeated:
            self._twilio.faults.arm(TwilioFault.WEBHOOK_DUPLICATED, times=len(_outgoing(step)), to=self._number)
            self._say("event", f"the webhook comes twice at once: {customer.name}")

    async def _send(self, step: Step, customer: Customer, outgoing: Outgoing, played: Played) -> str:
        self._say("said", outgoing.shown, customer.name)
        played.said.append(outgoing.shown)
        if step.forged:
            result = await self._forge(customer, outgoing)
        else:
            result = await self._twilio.send(
                customer.address,
                self._number,
                outgoing.body,
                media=outgoing.media,
                profile_name=customer.name,
                extra=outgoing.extra,
            )
            result = await self._insist(result)
        self._check_webhook(step, result, played)
        if result.status == 200:
            self.acknowledged.add(result.sid)
        return result.sid

    async def _insist(self, result: WebhookResult) -> WebhookResult:
        """Twilio tries again where nobody answers, as the URL's fragment asks it to; here for longer than a restart takes."""
        async with asyncio.timeout(_TWILIO_INSISTS_SECONDS):
            while result.status == 0:
                await asyncio.sleep(0.05)
                result = await self._twilio.redeliver(result.sid)
        return result

    async def _forge(self, customer: Customer, outgoing: Outgoing) -> WebhookResult:
        """A true form with a signature that nobody's token made."""
        account = next(iter(self._twilio.tokens))
        now = self._clock.now()
        message = Message(
            fresh_sid("SM"), account, customer.address, self._number, outgoing.body, "inbound", "received", now, now
        )
        form = inbound_form(message, (), customer.name, outgoing.extra)
        return await self._twilio.post(form, signature=_WRONG_SIGNATURE)

    async def _kill(self, when: str) -> None:
        self.kills += 1
        await self._program.kill()
        self._say("event", f"kill -9 {when}")
        started = self._clock.now()
        await self._program.start()
        self._say("event", f"the program is back after {self._clock.now() - started} ms")

    async def _await_answers(self, step: Step, before: int, played: Played) -> None:
        wanted = before + step.expect.answers
        try:
            await self._twilio.until(lambda: self._count(step.who) >= wanted, step.expect.within_ms / 1000)
        except TimeoutError:
            got = self._count(step.who) - before
            played.problems.append(f"{got} of {step.expect.answers} answers within {step.expect.within_ms} ms")
            return
        answers = self._messages(self._sent_to(step.who)[before:wanted])
        try:
            await self._twilio.until(lambda: all(answer.status == step.expect.status for answer in answers), _STATUS_SECONDS)
        except TimeoutError:
            return  # the comparison names the statuses

    async def _settle(self, expected: dict[str, int], played: list[Played]) -> None:
        """Let the program finish, then look for answers nobody expected."""
        try:
            await self._program.at_rest()
        except TimeoutError:
            played[-1].problems.append("the program still has jobs to do")
        for who, count in expected.items():
            if self._count(who) > count:
                name = self._scenario.customers[who].name
                played[-1].problems.append(f"{name} got {self._count(who) - count} messages more than expected")

    def _check_webhook(self, step: Step, result: WebhookResult, played: Played) -> None:
        if result.status != 200:
            self._say("event", f"the webhook is answered {result.status or result.text}")
        if result.status != step.expect.webhook:
            played.problems.append(f"the webhook was answered {result.status or result.text}, not {step.expect.webhook}")

    def _heard(self, message: Message) -> None:
        if message.direction == "inbound" or message.sid in self._told or message.to not in self._names:
            return
        self._told.add(message.sid)
        took = message.created_at - self._asked_at[message.to] if message.to in self._asked_at else None
        self._say("answered", message.body, self._names[message.to], took)

    def _say(self, kind: str, text: str, who: str = "", took_ms: int | None = None) -> None:
        self._tell(Happened(self._clock.now() - self._started_at, kind, text, who, took_ms))

    def _customer(self, step: Step) -> Customer:
        return self._scenario.customers[step.who]

    def _sent_to(self, who: str) -> list[Accepted]:
        address = self._scenario.customers[who].address
        return [message for message in self._twilio.accepted if message.to == address]

    def _count(self, who: str) -> int:
        return len(self._sent_to(who))

    def _messages(self, answers: Sequence[Accepted]) -> list[Message]:
        return [self._twilio.messages.get(answer.account, answer.sid) for answer in answers]


def _outgoing(step: Step) -> list[Outgoing]:
    outgoing = [Outgoing(text, text) for text in step.say]
    if step.voice is not None:
        outgoing.append(Outgoing(f"[voice note: {step.voice}]", media=(("audio/ogg", voice_note(step.voice)),)))
    if step.image:
        outgoing.append(Outgoing("[image]", media=(("image/png", _PICTURE),)))
    if step.location is not None:
        outgoing.append(Outgoing(f"[location: {step.location.label}]", extra=location_fields(step.location)))
    return outgoing


def _unexpected(step: Step, played: Played) -> list[str]:
    """What of the answers is not as expected."""
    text = "\n".join(played.answers)
    expect = step.expect
    problems = [f"no answer contains {wanted!r}" for wanted in expect.contains if wanted not in text]
    problems += [f"an answer contains {unwanted!r}" for unwanted in expect.excludes if unwanted in text]
    if expect.matches is not None and not re.search(expect.matches, text):
        problems.append(f"no answer matches {expect.matches!r}")
    late = sorted({status for status in played.statuses if status != expect.status})
    if late:
        problems.append(f"an answer ended as {', '.join(late)}, not {expect.status}")
    return problems
