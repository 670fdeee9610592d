"""Reminders as agreed, and as jobs: each time it is due it is sent once, to whom it belongs, as the window allows."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import ManualClock
from tests.store.life import NOW, OURS, Life, live, ms, open_life
from wtai.ai.tools.tool import ToolError
from wtai.clock import DAY, HOUR, MINUTE, SECOND
from wtai.conversation import lifecycle, store
from wtai.conversation.model import State
from wtai.conversation.outbox import SEND
from wtai.conversation.reminders import REMIND, TEMPLATE, Reminders
from wtai.conversation.templates_store import set_template
from wtai.db.tx import OwnerTx
from wtai.identity.store import create_owner
from wtai.jobs.queue import Job

SID = "HX" + "a1" * 16
TOMORROW_AT_NINE = ms("2026-11-21T09:00")


class Desk:
    """A user's reminders, and a clock that jobs follow."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.clock = ManualClock(NOW)
        self._reminders = Reminders(life.database, self.clock)

    async def use(self, tool: str, /, **arguments: object) -> Any:
        """A tool, at the clock's time."""
        return await self.life.at(now=self.clock.now()).use(tool, **arguments)

    async def rows(self, sql: str, **parameters: object) -> list[dict[str, Any]]:
        found = await self.life.database.read(self.life.context.owner_id, lambda tx: tx.all(sql, **parameters))
        return [dict(row) for row in found]

    async def change(self, sql: str, **parameters: object) -> None:
        await self.life.database.write(self.life.context.owner_id, lambda tx: tx.run(sql, **parameters))

    async def jobs(self) -> list[int]:
        """When the reminders' jobs run."""
        return [
            row["run_at"] for row in await self.rows("SELECT run_at FROM jobs WHERE kind = :kind ORDER BY run_at", kind=REMIND)
        ]

    async def run(self, until: int, *, times: int = 1) -> None:
        """Let the time come, and run each job that it makes due, ``times`` times, in order."""
        while True:
            due = await self.rows(
                """SELECT id, owner_id, payload, run_at FROM jobs WHERE kind = :kind AND run_at <= :until
                ORDER BY run_at, id LIMIT 1""",
                kind=REMIND,
                until=until,
            )
            if not due:
                break
            (job,) = due
            self.clock.advance(max(0, job["run_at"] - self.clock.now()))
            for attempt in range(times):
                await self._reminders.handle(Job(job["id"], job["owner_id"], REMIND, None, job["payload"], attempt + 1, 0, 0))
            await self.change("DELETE FROM jobs WHERE id = :id", id=job["id"])
        self.clock.advance(max(0, until - self.clock.now()))

    async def sent(self) -> list[dict[str, Any]]:
        return await self.rows(
            """SELECT conversation_id, author, body, content_sid, content_variables FROM messages
            WHERE direction = 'outbound' ORDER BY id"""
        )

    async def bodies(self) -> list[str]:
        return [message["body"] for message in await self.sent()]

    async def status(self) -> list[str]:
        return [row["status"] for row in await self.rows("SELECT status FROM reminders ORDER BY id")]

    async def heard_at(self, moment: int) -> None:
        """The person wrote last at ``moment``."""
        await self.change("UPDATE conversations SET last_inbound_at = :at", at=moment)

    async def close(self) -> None:
        """End the person's conversation."""

        def end(tx: OwnerTx) -> None:
            read = store.conversation(tx, self.life.context.conversation_id)
            assert read is not None
            lifecycle.move(tx, read, State.SUPPORT_CLOSED, actor="staff", reason="test", now=self.clock.now())

        await self.life.database.write(self.life.context.owner_id, end)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_life(tmp_path / "wtai.db") as life:
        yield Desk(life)


# Agreed


async def test_a_reminder_is_a_row_and_a_job_at_its_time(desk: Desk) -> None:
    made = await desk.use("create_reminder", text="ligar para a Ana", when="amanhã às 9h")
    assert made["reminder"].startswith("rem_")
    assert {key: made[key] for key in ("text", "when", "spoken", "repeats")} == {
        "text": "ligar para a Ana",
        "when": "2026-11-21T09:00",
        "spoken": "sábado, 21/11/2026, 09:00",
        "repeats": "never",
    }
    assert await desk.jobs() == [TOMORROW_AT_NINE]
    assert (await desk.use("list_reminders")) == {"reminders": [made], "more": False}


@pytest.mark.parametrize(
    ("locale", "spoken"),
    [("es", "sábado, 21/11/2026, 09:00"), ("en", "Saturday, 21 Nov 2026, 09:00"), ("pt-BR", "sábado, 21/11/2026, 09:00")],
)
async def test_the_time_is_told_in_the_owners_language(desk: Desk, locale: str, spoken: str) -> None:
    made = await desk.life.at(locale=locale).use("create_reminder", text="x", when="2026-11-21T09:00")
    assert made["spoken"] == spoken


@pytest.mark.parametrize(
    ("when", "time", "due"),
    [
        ("amanhã", None, "2026-11-21T09:00"),
        ("amanhã", "18:15", "2026-11-21T18:15"),
        ("18h", None, "2026-11-20T18:00"),
        ("sexta", None, "2026-11-27T09:00"),
        ("20/12", None, "2026-12-20T09:00"),
        ("daqui a 20 minutos", None, "2026-11-20T14:50"),
        ("2026-11-21T12:00Z", None, "2026-11-21T09:00"),
    ],
)
async def test_day_and_time_are_the_owners_and_a_day_alone_means_nine(desk: Desk, when: str, time: str | None, due: str) -> None:
    assert (await desk.use("create_reminder", text="x", when=when, time=time))["when"] == due
    assert await desk.jobs() == [ms(due)]


@pytest.mark.parametrize(
    ("when", "repeats", "mend"),
    [
        ("hoje às 14h", "never", "it is 2026-11-20T14:30 now"),
        ("14:30", "never", "is in the past"),
        ("2026-11-19T09:00", "daily", "next time that it comes is 2026-11-21T09:00"),
        ("1985-03-12", "yearly", "next time that it comes is 2027-03-12T09:00"),
        ("0001-01-01T00:00", "never", "is in the past"),
        ("2037-01-01", "never", "more than 10 years"),
        ("9999-12-31T23:59", "yearly", "more than 10 years"),
        ("daqui a 0 minutos", "never", "is in the past"),
        ("um dia desses", "never", "write it as"),
    ],
)
async def test_what_is_not_to_come_is_refused_with_the_mend(desk: Desk, when: str, repeats: str, mend: str) -> None:
    with pytest.raises(ToolError, match=mend):
        await desk.use("create_reminder", text="x", when=when, repeats=repeats)
    assert await desk.jobs() == await desk.rows("SELECT * FROM reminders") == []


async def test_there_is_a_most_and_what_was_cancelled_does_not_count(desk: Desk) -> None:
    made = [await desk.use("create_reminder", text=f"{number}", when="amanhã às 9h") for number in range(100)]
    with pytest.raises(ToolError, match="cancel one"):
        await desk.use("create_reminder", text="mais um", when="amanhã às 9h")
    await desk.use("cancel_reminder", reminder=made[50]["reminder"])
    await desk.use("create_reminder", text="mais um", when="amanhã às 9h")


async def test_saving_a_birthday_reminds_of_nothing(desk: Desk) -> None:
    await desk.use("save_person", name="Ana", birthday="21/11")
    assert await desk.jobs() == []


# Changed and cancelled


async def test_another_time_makes_the_old_job_do_nothing(desk: Desk) -> None:
    made = await desk.use("create_reminder", text="pão", when="hoje às 15h")
    changed = await desk.use("change_reminder", reminder=made["reminder"], when="hoje às 16h")
    assert changed == {**made, "when": "2026-11-20T16:00", "spoken": "sexta-feira, 20/11/2026, 16:00"}
    await desk.run(ms("2026-11-20T15:59"))
    assert await desk.bodies() == []
    await desk.run(ms("2026-11-20T16:00"))
    assert await desk.bodies() == ["⏰ Lembrete: pão"]


async def test_there_and_back_again_is_still_sent_once(desk: Desk) -> None:
    made = await desk.use("create_reminder", text="pão", when="hoje às 15h")
    for when in ("hoje às 16h", "hoje às 15h", "hoje às 16h", "hoje às 15h"):
        await desk.use("change_reminder", reminder=made["reminder"], when=when)
    assert await desk.jobs() == [ms("2026-11-20T15:00"), ms("2026-11-20T16:00")]
    await desk.run(ms("2026-11-20T17:00"), times=2)
    assert await desk.bodies() == ["⏰ Lembrete: pão"]


async def test_only_what_is_said_changes(desk: Desk) -> None:
    made = await desk.use("create_reminder", text="pão", when="amanhã às 10h", repeats="weekly")
    this = {"reminder": made["reminder"]}
    assert (await desk.use("change_reminder", **this, time="11h"))["when"] == "2026-11-21T11:00"
    assert (await desk.use("change_reminder", **this, when="23/11"))["when"] == "2026-11-23T11:00"
    assert (await desk.use("change_reminder", **this, text="leite"))["when"] == "2026-11-23T11:00"
    assert await desk.use("change_reminder", **this, repeats="monthly") == {
        **made,
        "text": "leite",
        "when": "2026-11-23T11:00",
        "spoken": "segunda-feira, 23/11/2026, 11:00",
        "repeats": "monthly",
    }
    with pytest.raises(ToolError, match="what is to be different"):
        await desk.use("change_reminder", **this)
    with pytest.raises(ToolError, match="in the past"):
        await desk.use("change_reminder", **this, when="2026-11-20", time="14:00")


async def test_a_monthly_31st_stays_one_when_only_its_time_of_day_changes(desk: Desk) -> None:
    made = await desk.use("create_reminder", text="aluguel", when="2026-12-31", repeats="monthly")
    await desk.run(ms("2027-01-31T09:00"))
    assert (await desk.use("change_reminder", reminder=made["reminder"], time="10h"))["when"] == "2027-02-28T10:00"
    await desk.run(ms("2027-02-28T10:00"))
    assert (await desk.use("list_reminders"))["reminders"][0]["when"] == "2027-03-31T10:00"


async def test_what_is_cancelled_is_told_and_never_sent(desk: Desk) -> None:
    made = await desk.use("create_reminder", text="pão", when="hoje às 15h", repeats="daily")
    assert await desk.use("cancel_reminder", reminder=made["reminder"]) == {"canceled": made}
    await desk.run(NOW + 3 * DAY)
    assert await desk.bodies() == []
    assert (await desk.use("list_reminders"))["reminders"] == []
    for tool in ("cancel_reminder", "change_reminder"):
        with pytest.raises(ToolError, match="canceled already"):
            await desk.use(tool, reminder=made["reminder"])


async def test_somebody_elses_reminder_reads_as_one_that_does_not_exist(desk: Desk) -> None:
    database = desk.life.database
    other_owner = await database.system_write(create_owner, "Loja", "pt-BR", now=NOW)
    mine = (await desk.use("create_reminder", text="segredo", when="hoje às 15h"))["reminder"]
    strangers = [await live(database, desk.life.context.owner_id, 2), await live(database, other_owner.id, 3)]
    strangers.append(strangers[1].at(user_id=desk.life.context.user_id))
    for stranger in strangers:
        assert (await stranger.use("list_reminders"))["reminders"] == []
        for tool, more in (("cancel_reminder", {}), ("change_reminder", {"text": "meu"})):
            answers = []
            for public in (mine, "rem_nobody"):
                with pytest.raises(ToolError) as refused:
                    await stranger.use(tool, reminder=public, **more)
                answers.append(str(refused.value).replace(public, "ID"))
            assert answers[0] == answers[1]
    await desk.run(NOW + DAY)
    assert await desk.bodies() == ["⏰ Lembrete: segredo"]


@pytest.mark.parametrize("text", ["'; DROP TABLE reminders; --", "{1}", '"}, "2": "x', "%s", "linha 1\nlinha 2\t fim"])
async def test_whatever_a_text_says_it_is_only_sent(desk: Desk, text: str) -> None:
    await desk.life.database.write(desk.life.context.owner_id, set_template, TEMPLATE, "pt-BR", SID, now=NOW)
    await desk.use("create_reminder", text=text, when="hoje às 15h")
    await desk.use("create_reminder", text=text, when="2026-11-25")
    await desk.run(NOW + 10 * DAY)
    inside, outside = await desk.sent()
    assert inside["body"] == outside["body"] == f"⏰ Lembrete: {text}"
    assert json.loads(outside["content_variables"]) == {"1": " ".join(text.split())}


# Sent


async def test_a_job_that_runs_again_and_again_sends_once(desk: Desk) -> None:
    await desk.use("create_reminder", text="pão", when="hoje às 15h")
    await desk.run(NOW + HOUR, times=5)
    assert [(message["author"], message["body"]) for message in await desk.sent()] == [("system", "⏰ Lembrete: pão")]
    assert await desk.status() == ["sent"]
    assert len(await desk.rows("SELECT id FROM jobs WHERE kind = :kind", kind=SEND)) == 1


async def test_a_repeating_one_that_runs_again_and_again_is_sent_once_for_each_time(desk: Desk) -> None:
    await desk.use("create_reminder", text="remédio", when="hoje às 15h", repeats="daily")
    await desk.run(NOW + 3 * DAY, times=3)
    assert len(await desk.bodies()) == 3
    assert await desk.status() == ["scheduled"]
    assert await desk.jobs() == [ms("2026-11-23T15:00")]


async def test_after_a_long_stop_one_comes_and_not_one_for_each_day(desk: Desk) -> None:
    await desk.use("create_reminder", text="remédio", when="hoje às 15h", repeats="daily")
    desk.clock.advance(10 * DAY)
    await desk.run(desk.clock.now())
    assert len(await desk.bodies()) == 1
    assert await desk.jobs() == [ms("2026-11-30T15:00")]


async def test_a_repeating_one_keeps_its_time_of_day_when_the_clocks_change(desk: Desk) -> None:
    new_york = desk.life.at(time_zone="America/New_York", now=ms("2027-03-12T12:00", "America/New_York"))
    await new_york.use("create_reminder", text="x", when="2027-03-13T02:30", repeats="daily")
    desk.clock.advance(new_york.context.now - desk.clock.now())
    due = []
    for _ in range(4):
        (next_due,) = await desk.jobs()
        due.append(next_due)
        await desk.run(next_due)
    expected = ["2027-03-13T02:30", "2027-03-14T03:30", "2027-03-15T02:30", "2027-03-16T02:30"]
    assert due == [ms(local, "America/New_York") for local in expected]


async def test_if_the_transaction_fails_nothing_of_it_remains_and_the_next_try_sends(desk: Desk) -> None:
    await desk.use("create_reminder", text="pão", when="hoje às 15h", repeats="daily")
    await desk.change(
        "CREATE TRIGGER breaks BEFORE INSERT ON jobs WHEN NEW.kind = 'remind' BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    with pytest.raises(Exception, match="full"):
        await desk.run(ms("2026-11-20T15:00"))
    assert await desk.bodies() == []
    await desk.change("DROP TRIGGER breaks")
    await desk.run(ms("2026-11-20T15:00"))
    assert len(await desk.bodies()) == 1
    assert await desk.jobs() == [ms("2026-11-21T15:00")]


async def test_a_job_whose_reminder_was_erased_is_done(desk: Desk) -> None:
    await desk.use("create_reminder", text="pão", when="hoje às 15h")
    await desk.change("DELETE FROM reminders")
    await desk.run(NOW + DAY)
    assert await desk.bodies() == []


async def test_it_goes_into_the_open_conversation_or_else_into_the_last_one(desk: Desk) -> None:
    first = desk.life.context.conversation_id
    await desk.use("create_reminder", text="um", when="hoje às 15h")
    await desk.use("create_reminder", text="dois", when="hoje às 16h")
    await desk.close()
    await desk.run(ms("2026-11-20T15:00"))
    later = await live(desk.life.database, desk.life.context.owner_id, 1, post=2)
    assert later.context.conversation_id != first
    assert later.context.user_id == desk.life.context.user_id
    await desk.run(ms("2026-11-20T16:00"))
    assert [message["conversation_id"] for message in await desk.sent()] == [first, later.context.conversation_id]


@pytest.mark.parametrize(
    ("locale", "words"), [("pt-BR", "⏰ Lembrete: pão"), ("es", "⏰ Recordatorio: pão"), ("en", "⏰ Reminder: pão")]
)
async def test_it_speaks_the_owners_language_and_takes_the_template_of_that_language(
    tmp_path: Path, locale: str, words: str
) -> None:
    async with open_life(tmp_path / "wtai.db", locale) as life:
        desk = Desk(life)
        for other in ("pt-BR", "es", "en"):
            await life.database.write(life.context.owner_id, set_template, TEMPLATE, other, f"HX-{other}", now=NOW)
        await desk.use("create_reminder", text="pão", when="daqui a 10 minutos")
        await desk.use("create_reminder", text="pão", when="2026-11-25")
        await desk.run(NOW + 10 * DAY)
        inside, outside = await desk.sent()
    assert (inside["body"], inside["content_sid"]) == (words, None)
    assert (outside["body"], outside["content_sid"]) == (words, f"HX-{locale}")


@pytest.mark.parametrize(("ago", "by_template"), [(DAY - SECOND, False), (DAY, True)])
async def test_the_template_is_for_when_the_window_is_closed(desk: Desk, ago: int, by_template: bool) -> None:
    await desk.life.database.write(desk.life.context.owner_id, set_template, TEMPLATE, "pt-BR", SID, now=NOW)
    await desk.use("create_reminder", text="pão", when="hoje às 15h")
    await desk.heard_at(ms("2026-11-20T15:00") - ago)
    await desk.run(NOW + HOUR)
    (message,) = await desk.sent()
    assert message["content_sid"] == (SID if by_template else None)
    assert message["author"] == "system"


async def test_the_window_is_that_of_the_last_conversation_and_not_of_the_one_it_was_made_in(desk: Desk) -> None:
    await desk.life.database.write(desk.life.context.owner_id, set_template, TEMPLATE, "pt-BR", SID, now=NOW)
    await desk.use("create_reminder", text="pão", when="2026-11-25T09:00")
    await desk.close()
    await desk.heard_at(NOW)
    await live(desk.life.database, desk.life.context.owner_id, 1, post=2, now=ms("2026-11-25T08:00"))
    await desk.run(ms("2026-11-25T09:00"))
    assert [message["content_sid"] for message in await desk.sent()] == [None]


async def test_a_template_keeps_its_place_behind_what_goes_to_the_same_person(desk: Desk) -> None:
    await desk.use("create_reminder", text="um", when="2026-11-25T09:00")
    await desk.use("create_reminder", text="dois", when="2026-11-25T10:00")
    await desk.run(ms("2026-11-25T09:00"))
    await desk.life.database.write(desk.life.context.owner_id, set_template, TEMPLATE, "pt-BR", SID, now=NOW)
    await desk.run(ms("2026-11-25T10:00"))
    keys = await desk.rows("SELECT key FROM jobs WHERE kind = :kind", kind=SEND)
    assert len(keys) == 2
    assert len({row["key"] for row in keys}) == 1


async def test_who_opted_out_gets_none_and_a_repeating_one_goes_on_after_start(desk: Desk) -> None:
    context = desk.life.context
    await desk.use("create_reminder", text="uma vez", when="hoje às 15h")
    await desk.use("create_reminder", text="sempre", when="hoje às 15h", repeats="daily")
    await desk.life.database.write(context.owner_id, store.opt_out, context.user_id, OURS, now=NOW)
    await desk.run(NOW + DAY)
    assert await desk.bodies() == []
    assert await desk.status() == ["canceled", "scheduled"]
    await desk.life.database.write(context.owner_id, store.opt_in, context.user_id, OURS)
    await desk.run(ms("2026-11-21T15:00") + MINUTE)
    assert await desk.bodies() == ["⏰ Lembrete: sempre"]
