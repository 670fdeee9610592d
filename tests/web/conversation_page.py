"""A conversation's page as a test reads it, and rows of its own in the database."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from html import unescape

from tests.web.api_client import Reply
from tests.web.console_client import Staff, Visitor
from wtai.db.sqlite import SqliteConnection, connect

ANA_KEY = "SELECT id FROM users WHERE email = 'ana@padaria.example'"


@contextmanager
def editing(staff: Staff) -> Iterator[SqliteConnection]:
    """The database, to be changed behind the program's back."""
    with closing(connect(staff.world.data_dir / "wtai.db")) as connection:
        yield connection


def public(staff: Staff, email: str) -> str:
    """The public id of a member of staff."""
    return str(staff.world.value("SELECT public_id FROM users WHERE email = :email", email=email))


async def page(visitor: Visitor, conversation: str) -> str:
    reply = await visitor.get(f"/console/c/{conversation}/thread", HX_Request="true")
    assert reply.status == 200, reply.text
    return reply.text


async def act(visitor: Visitor, conversation: str, what: str, **form: str) -> Reply:
    """Send a form as the page does."""
    return await visitor.post(f"/console/c/{conversation}/{what}", form, HX_Request="true")


def field(text: str, name: str, *, form: str = "talk-reply") -> str:
    """The value of a hidden field in one of the page's forms."""
    found = re.search(rf'<form id="{form}[^"]*".*?</form>', text, re.DOTALL)
    assert found, f"no form {form}"
    value = re.search(rf'<input type="hidden" name="{name}"(?: id="[^"]*")? value="([^"]*)"', found[0])
    assert value, f"no field {name} in {form}"
    return value[1]


def words(text: str) -> str:
    """What is to be read, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def messages(text: str) -> list[str]:
    """The ids of the messages on the page, in order."""
    return re.findall(r'<li id="(msg_\w+)"', text)


def state(staff: Staff, conversation: str) -> str:
    return str(staff.world.value("SELECT state FROM conversations WHERE public_id = :id", id=conversation))


def close_window(staff: Staff, conversation: str) -> None:
    """Let the person have written more than a day ago."""
    with editing(staff) as connection:
        connection.execute(
            "UPDATE conversations SET last_inbound_at = last_inbound_at - 90000000 WHERE user_id ="
            " (SELECT user_id FROM conversations WHERE public_id = ?)",
            (conversation,),
        )
