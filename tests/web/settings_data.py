"""An owner that has one of everything that the settings show, and the pages by which it is seen."""

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from tests.program import person
from tests.web.console_client import Staff, Visitor
from wtai.ai.memory.writing import Told, remember
from wtai.clock import SystemClock
from wtai.db.sqlite import connect
from wtai.db.tx import OwnerTx
from wtai.identity.users_store import end_users
from wtai.web.console.page import Page
from wtai.web.console.settings.pages import PAGES

ANA = person(1)
HOOK = "http://127.0.0.1:9/hook"
SETTINGS = {"egress": {"allowed_private_hosts": ["127.0.0.1:9"]}}
"""Where a hook is delivered to nobody, at once."""


@dataclass(frozen=True)
class Everything:
    """The ids of what there is, by the names in the paths of pages; and the secrets that were shown once."""

    ids: Mapping[str, str]
    customer: str
    secrets: tuple[str, ...]

    def path(self, page: Page) -> str:
        """Where a page is of this owner's own."""
        ids = {**self.ids, **({"user": self.customer} if page.path.startswith("/console/people") else {})}
        return re.sub(r"\{(\w+)\}", lambda match: ids[match[1]], page.path)


def pages(method: str) -> list[Page]:
    """Those of the settings."""
    return [page for page in PAGES if page.method == method]


async def fill(staff: Staff) -> Everything:
    """Make one of everything, through the pages themselves where they make it."""
    admin, world = staff.admin, staff.world
    hook = await made(admin, "webhooks", url=HOOK, **{"event:message.received": "on"})
    await world.say(ANA, "oi")
    await world.answers_to(ANA, 1)
    token = await made(admin, "tokens", name="Pedidos", role="agent", reach="read", days="30")
    tool = await made(
        admin, "tools", name="order_status", description="Says where an order is", url="https://example.com/order",
        parameters='{"type": "object", "properties": {}}', effect="read", timeout_seconds="5",
    )  # fmt: skip
    password = await made(admin, "team", email="caio@padaria.example", name="Caio", role="agent")
    await went(admin, "features", name="pedidos", description="orders", prompt="Fale de pedidos.")
    await went(admin, "features/pedidos", version="1", enabled="1", description="orders", prompt="Fale de pedidos.\nSeja breve.")
    await went(admin, "templates", name="reminder", locale="pt-BR", content_sid=f"HX{1:032x}")
    await went(admin, "numbers", account_sid=f"AC{77:032x}", auth_token="segredo-da-conta-77", numbers="whatsapp:+551130000077")
    await world.until(lambda: bool(world.rows("SELECT id FROM webhook_deliveries WHERE attempts > 0")))
    customer = await staff.program.database.write(world.line.owner_id, remembered)
    with closing(connect(world.data_dir / "wtai.db")) as connection:
        connection.execute(
            "INSERT INTO jobs (owner_id, kind, payload, priority, run_at, created_at, state, failures, error)"
            " VALUES (?, 'send_message', '{\"message_id\": 0}', 0, 0, 0, 'dead', 8, 'SendRejected: 63016')",
            (world.line.owner_id,),
        )
    ids = {
        "session": first(staff, "sessions", "ORDER BY id"),
        "user": first(staff, "users", "WHERE email = 'caio@padaria.example'"),
        "memory": first(staff, "memories", ""),
        "template": first(staff, "templates", ""),
        "endpoint": first(staff, "webhook_endpoints", ""),
        "delivery": first(staff, "webhook_deliveries", ""),
        "token": first(staff, "api_tokens", ""),
        "job": f"job_{world.value('SELECT max(id) FROM jobs')}",
        "account": world.line.account_sid,
        "feature": "pedidos",
        "version": "1",
        "tool": "order_status",
    }
    return Everything(ids, customer, (hook, token, tool, password, "segredo-da-conta-77", world.line.token))


async def made(visitor: Visitor, where: str, **form: str) -> str:
    """Make something whose secret is shown once; the secret."""
    reply = await visitor.post(f"/console/settings/{where}", form)
    assert reply.status == 200, reply.text
    shown = re.search(r'<div class="once">\s*<code [^>]*>([^<]+)</code>', reply.text)
    assert shown is not None, reply.text
    return shown[1]


async def went(visitor: Visitor, where: str, **form: str) -> str:
    """Send a form that is taken; where it leads to."""
    reply = await visitor.post(where if where.startswith("/") else f"/console/settings/{where}", form)
    assert reply.status == 303, reply.text
    return reply.headers["Location"]


def first(staff: Staff, table: str, rest: str) -> str:
    """The public id of a row."""
    return str(staff.world.rows(f"SELECT public_id FROM {table} {rest}")[0]["public_id"])


def remembered(tx: OwnerTx) -> str:
    """Two facts about the only customer, whose public id is returned."""
    customer, now = end_users(tx)[0], SystemClock().now()
    remember(tx, customer.id, Told("A Ana gosta de pão de queijo", now - 1_000), now=now)
    remember(tx, customer.id, Told("O aniversário da Ana é em março", now), now=now)
    return customer.public_id
