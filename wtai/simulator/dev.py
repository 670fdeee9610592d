"""The program among fakes: a simulated Twilio, a scripted model, a demo owner with a connected number, the phone page.

What is here for development is never a production's data: a database with any other owner is refused, because its outbox
would be emptied into a Twilio that delivers to nobody.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from wtai.app import Running, serve
from wtai.channels.accounts import Accounts
from wtai.channels.accounts import connect as connect_account
from wtai.channels.store import numbers
from wtai.clock import Clock, SystemClock
from wtai.db.migrate import migrate
from wtai.db.sqlite import SqliteDatabase
from wtai.db.tx import SystemTx
from wtai.errors import EnvironmentProblem
from wtai.identity.from_settings import sealer
from wtai.identity.store import create_owner, owners
from wtai.secrets import Sealer, create_key_file
from wtai.settings import Settings
from wtai.simulator.model import ScriptedModel
from wtai.simulator.phone import Business, Phone
from wtai.simulator.server import served
from wtai.simulator.twilio import FakeTwilio

NAME: Final = "Padaria Demo"
ACCOUNT_SID: Final = "AC" + "de30" * 8
NUMBER: Final = "whatsapp:+551130000000"

# Slow enough for a person to see each tick, quick enough not to wait for the outcome of an armed time-out.
_STATUS_DELAY_SECONDS: Final = 0.4
_PATIENCE_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Line:
    """The demo owner's number, with the credentials by which Twilio and the program know each other."""

    owner: str
    account_sid: str
    number: str
    token: str = field(repr=False)

    @property
    def business(self) -> Business:
        return Business(NAME, self.account_sid, self.number)


@dataclass(frozen=True, slots=True)
class Developing:
    """What is at work once everything is up."""

    program: Running
    line: Line
    page_url: str
    twilio_url: str


def fake_providers(twilio_url: str, model_url: str) -> dict[str, object]:
    """The settings, by ``section.key``, with which the program speaks to the fakes at these addresses."""
    return {
        "twilio.base_url": twilio_url,
        "twilio.messaging_url": twilio_url,
        "twilio.content_url": twilio_url,
        "openai.base_url": f"{model_url}/v1",
        "openai.api_key": "scripted",
    }


async def develop(load: Callable[[Mapping[str, object]], Settings], on_ready: Callable[[Settings, Developing], None]) -> None:
    """Run program, fakes and page until SIGTERM or SIGINT.

    ``load`` makes the settings from flags that go before everything else. EnvironmentProblem if the data are not a demo's.
    """
    clock = SystemClock()
    async with FakeTwilio(clock) as twilio, ScriptedModel(clock) as model:
        twilio.statuses = ("sent", "delivered", "read")
        twilio.status_delay_seconds = _STATUS_DELAY_SECONDS
        waits = {"twilio.timeout_seconds": _PATIENCE_SECONDS, "twilio.reconcile_seconds": _PATIENCE_SECONDS}
        settings = load({**fake_providers(twilio.url, model.url), **waits})
        line = await demo_line(settings, clock)
        twilio.add_account(line.account_sid, line.token, numbers=(line.number,))
        phone = Phone(twilio, line.business)
        async with served(phone) as page_url:

            def ready(program: Running) -> None:
                twilio.webhook_url = program.url or ""
                twilio.public_url = settings.server.public_url
                phone.console_url = f"{program.url}{program.console_path}"
                on_ready(settings, Developing(program, line, page_url, twilio.url))

            await serve(settings, role="all", on_ready=ready, simulator_url=f"{page_url}/")


async def demo_line(settings: Settings, clock: Clock) -> Line:
    """The demo owner's number; key, database and owner are made where they are absent. EnvironmentProblem as above."""
    if not settings.security.key_file.exists():
        settings.security.key_file.parent.mkdir(parents=True, exist_ok=True)
        create_key_file(settings.security.key_file)
    migrate(settings.database_path)
    seal = sealer(settings)
    database = await SqliteDatabase.open(settings.database_path, readers=1)
    try:
        owner_id, public_id = await database.system_write(_demo_owner, seal, now=clock.now())
        account = await Accounts(database, seal, clock).of_owner(owner_id, NUMBER)
    finally:
        await database.close()
    return Line(public_id, ACCOUNT_SID, NUMBER, account.tokens[0])


def _demo_owner(tx: SystemTx, seal: Sealer, *, now: int) -> tuple[int, str]:
    found = owners(tx)
    if not found:
        owner = create_owner(tx, NAME, "pt-BR", now=now)
        connect_account(tx.for_owner(owner.id), seal, ACCOUNT_SID, [secrets.token_hex(16)], [NUMBER], now=now)
        return owner.id, owner.public_id
    if len(found) > 1 or numbers(tx.for_owner(found[0].id)) != [(ACCOUNT_SID, NUMBER)]:
        raise EnvironmentProblem(
            "this database has owners of its own, whose messages would go to a simulated Twilio; "
            "mend: `wtai dev` without --data-dir, or with an empty folder"
        )
    return found[0].id, found[0].public_id
