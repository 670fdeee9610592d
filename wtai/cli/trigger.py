"""``wtai trigger``: webhooks as Twilio would post and sign them, to try a running wtai out."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

import click

from wtai.channels.accounts import Accounts
from wtai.channels.store import numbers
from wtai.channels.twilio.signature import sign
from wtai.cli.configuration import settings_of
from wtai.cli.data import with_database
from wtai.cli.main import SharedOptions
from wtai.clock import SystemClock
from wtai.conversation.model import OutboundMessage
from wtai.conversation.outbox_store import outbound_of_callback
from wtai.db.sqlite import SqliteDatabase
from wtai.errors import NotFound, WtaiError
from wtai.identity import store
from wtai.identity.from_settings import sealer
from wtai.identity.model import Owner
from wtai.settings import Settings
from wtai.simulator.phone import Place, location_fields
from wtai.simulator.twilio_carrier import INBOUND_PATH
from wtai.simulator.twilio_forms import inbound_form, status_form
from wtai.simulator.twilio_messages import API_VERSION, Media, Message, Pairs, fresh_sid
from wtai.simulator.twilio_webhooks import Posted, Webhook, WebhookResult, Webhooks

_STATUS_PATH: Final = "/webhooks/twilio/status"
_CUSTOMER: Final = "+5511987654321"
_INVALID_RECIPIENT: Final = 63024  # twilio.com/docs/api/errors/63024

_BODIES: Final = {"message.text": "Oi", "message.button": "Sim"}
_MEDIA: Final = {"message.audio": "audio/ogg", "message.image": "image/jpeg"}
_EXTRAS: Final[dict[str, Pairs]] = {
    "message.location": location_fields(Place(latitude=-23.5503, longitude=-46.6339, label="Praça da Sé", address="São Paulo")),
    "message.button": (("MessageType", "button"), ("ButtonText", "Sim"), ("ButtonPayload", "yes"), ("ButtonType", "QUICK_REPLY")),
}
EVENTS: Final = (
    "message.text",
    "message.audio",
    "message.image",
    "message.location",
    "message.button",
    "status.sent",
    "status.delivered",
    "status.read",
    "status.failed",
)


@dataclass(frozen=True, slots=True)
class _Line:
    """One of an owner's addresses, with the token that signs for it."""

    account_sid: str
    address: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line says."""

    event: str
    owner: str | None
    sender: str | None
    recipient: str | None
    body: str | None
    message: str | None

    @property
    def status(self) -> str | None:
        """Twilio's status of a ``status.`` event."""
        kind, _, name = self.event.partition(".")
        return name if kind == "status" else None

    @property
    def ours(self) -> str | None:
        """Our own address, if it is named: where a message goes to, or where one of ours came from."""
        return self.sender if self.status else self.recipient

    @property
    def customer(self) -> str | None:
        return self.recipient if self.status else self.sender


@click.command()
@click.argument("event", type=click.Choice(EVENTS), metavar="EVENT")
@click.option("--owner", help="Id of the owner; needed where there are several.")
@click.option("--from", "sender", metavar="ADDRESS", help="From of the form: whatsapp:+5511…")
@click.option("--to", "recipient", metavar="ADDRESS", help="To of the form.")
@click.option("--body", help="Text of the message.")
@click.option("--message", metavar="ID", help="Public id (msg_…) of the outbound message that a status is about.")
@click.option(
    "--override", "overrides", multiple=True, metavar="NAME=VALUE", help="Replace or add a form field; may be repeated."
)
@click.option("--url", help="Where wtai listens; otherwise as the settings say.")
@click.option("--show", is_flag=True, help="Print the request as a curl command instead of posting it.")
@click.pass_obj
def trigger(
    options: SharedOptions,
    event: str,
    owner: str | None,
    sender: str | None,
    recipient: str | None,
    body: str | None,
    message: str | None,
    overrides: tuple[str, ...],
    url: str | None,
    show: bool,
) -> None:
    """Post a signed webhook to a running wtai, as Twilio would, and print the status of its answer.

    EVENT is message.text, message.audio, message.image, message.location, message.button, status.sent, status.delivered,
    status.read or status.failed. An attachment's address is made up: --override MediaUrl0=… names a real one.
    """
    asked = _Asked(event, owner, sender, recipient, body, message)
    if asked.status and message is None:
        raise click.UsageError(f"{event} is about one of our messages; mend: --message msg_…, its public id")
    if message is not None and not asked.status:
        raise click.UsageError(f"--message belongs to status events, not to {event}")
    replaced = tuple(_pair(override) for override in overrides)
    settings = settings_of(options)
    line, about = with_database(settings, lambda database: _looked_up(database, settings, asked))
    form, path = _status(asked, line, about) if about else _inbound(asked, line, settings)
    webhook = _signed(settings, url, path, _with(form, replaced), line.token)
    if show:
        click.echo(Posted(SystemClock().now(), webhook, webhook.headers(), 0).curl())
        return
    result = asyncio.run(_post(webhook))
    if result.status == 0:
        raise WtaiError(f"{webhook.target}: {result.text}; mend: start wtai there, or name its address with --url")
    click.echo(f"{result.status}  {result.sid}")
    if not 200 <= result.status < 300:
        raise WtaiError(f"the webhook was refused with {result.status}: {result.text or 'no reason given'}")


def _pair(override: str) -> tuple[str, str]:
    name, equals, value = override.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"{override!r} is not NAME=VALUE", param_hint="--override")
    return name, value


async def _looked_up(database: SqliteDatabase, settings: Settings, asked: _Asked) -> tuple[_Line, OutboundMessage | None]:
    """Whose webhook it is, and the outbound message it is about. NotFound, or UsageError where that is not clear."""
    found = await database.system_read(store.owners)
    if asked.owner is not None:
        found = [await database.system_read(store.owner_of_public_id, asked.owner)]
    lines = [
        (owner, sid, address)
        for owner in found
        for sid, address in await database.read(owner.id, numbers)
        if asked.ours in (None, address)
    ]
    about = None
    if asked.message is not None:
        lines, about = await _of_message(database, lines, asked.message)
    owner, sid, address = _only(lines, asked)
    account = await Accounts(database, sealer(settings), SystemClock()).of_owner(owner.id, address)
    return _Line(sid, address, account.tokens[0]), about


async def _of_message(
    database: SqliteDatabase, lines: list[tuple[Owner, str, str]], public_id: str
) -> tuple[list[tuple[Owner, str, str]], OutboundMessage]:
    """The line that an outbound message went out from."""
    for owner in {owner.id: owner for owner, _, _ in lines}.values():
        message = await database.read(owner.id, outbound_of_callback, public_id, "")
        if message is not None:
            return [line for line in lines if line[0].id == owner.id and line[2] == message.sender], message
    raise NotFound(f"no outbound message {public_id}; its id is in its status callback, as m=msg_…")


def _only(lines: list[tuple[Owner, str, str]], asked: _Asked) -> tuple[Owner, str, str]:
    if not lines:
        where = f"the address {asked.ours}" if asked.ours else "an address"
        raise NotFound(f"no owner has {where} connected; mend: `wtai twilio connect`")
    if len(lines) > 1:
        choices = "".join(f"\n  {owner.public_id}  {address}  {owner.name}" for owner, _, address in lines)
        ours = "--from" if asked.status else "--to"
        raise click.UsageError(f"there are several addresses; mend: name one with --owner and {ours}:{choices}")
    return lines[0]


def _inbound(asked: _Asked, line: _Line, settings: Settings) -> tuple[Pairs, str]:
    now = SystemClock().now()
    channel = line.address.rpartition("+")[0]
    content_type = _MEDIA.get(asked.event)
    sid = fresh_sid("MM" if content_type else "SM")
    body = _BODIES.get(asked.event, "") if asked.body is None else asked.body
    sender = asked.customer or f"{channel}{_CUSTOMER}"
    message = Message(sid, line.account_sid, sender, line.address, body, "inbound", "received", now, now)
    media = []
    if content_type:
        file = Media(fresh_sid("ME"), line.account_sid, sid, content_type, b"", now, "")
        base = f"{settings.twilio.base_url}/{API_VERSION}/Accounts/{line.account_sid}/Messages/{sid}/Media"
        media.append((f"{base}/{file.sid}", file))
    return inbound_form(message, media, None, _EXTRAS.get(asked.event, ())), INBOUND_PATH


def _status(asked: _Asked, line: _Line, about: OutboundMessage) -> tuple[Pairs, str]:
    now = SystemClock().now()
    status = asked.status or ""
    recipient = asked.customer or about.recipient
    sid = about.provider_sid or fresh_sid("SM")
    message = Message(sid, line.account_sid, line.address, recipient, about.body, "outbound-api", status, now, now)
    if status == "failed":
        message.error_code = _INVALID_RECIPIENT
    return status_form(message, status), f"{_STATUS_PATH}?m={about.public_id}"


def _with(form: Pairs, replaced: Pairs) -> Pairs:
    names = {name for name, _ in replaced}
    return (*((name, value) for name, value in form if name not in names), *replaced)


def _signed(settings: Settings, url: str | None, path: str, form: Pairs, token: str) -> Webhook:
    """Signed for the public address, which is what wtai checks; connected to ``url``, or where the settings let it listen."""
    listens = (url or f"http://{settings.server.host}:{settings.server.port}").rstrip("/")
    public = (settings.server.public_url or listens) + path
    return Webhook(public, listens + path, form, token, dict(form).get("MessageSid", ""), sign(public, form, token))


async def _post(webhook: Webhook) -> WebhookResult:
    webhooks = Webhooks(SystemClock())
    await webhooks.start()
    try:
        return await webhooks.post(webhook)
    finally:
        await webhooks.close()
