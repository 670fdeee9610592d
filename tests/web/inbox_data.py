"""Conversations for the inbox, written straight into the database: as many as a test wants, without anybody answering."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from tests.web.console_client import Staff
from wtai.clock import MINUTE, SystemClock
from wtai.db.sqlite import SqliteConnection, connect


@contextmanager
def editing(staff: Staff) -> Iterator[SqliteConnection]:
    with closing(connect(staff.world.data_dir / "wtai.db")) as connection:
        yield connection


def fill(staff: Staff, count: int, *, owner: int | None = None, body: str = "oi", **columns: Any) -> list[str]:
    """Conversations of as many people, the last one the latest changed, with a message each; their ids, newest first."""
    now, owner_id = SystemClock().now(), owner or staff.lines[0].owner_id
    made = []
    with editing(staff) as connection:
        for number in range(count):
            values = {"state": "WAITING_USER", "closed_at": None, "waiting_since": None, "feature": "general", **columns}
            key = f"{owner_id}_{connection.execute('SELECT count(*) FROM conversations').fetchone()[0]}"
            at = now - (count - number) * MINUTE
            user = connection.execute(
                "INSERT INTO users (owner_id, public_id, role, name, created_at) VALUES (?, ?, 'user', ?, ?) RETURNING id",
                (owner_id, f"usr_{key}", f"Pessoa {number}", at),
            ).fetchone()[0]
            given = {
                "owner_id": owner_id,
                "public_id": f"cnv_{key}",
                "user_id": user,
                "channel": "whatsapp",
                "address": "whatsapp:+551130000001",
                "user_address": f"whatsapp:+5511{number:09d}",
                "opened_at": at,
                "updated_at": at,
                **values,
            }
            names = ", ".join(given)
            conversation = connection.execute(
                f"INSERT INTO conversations ({names}) VALUES ({', '.join('?' * len(given))}) RETURNING id", tuple(given.values())
            ).fetchone()[0]
            connection.execute(
                "INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, status, body, provider_sid,"
                " created_at, updated_at) VALUES (?, ?, ?, 'inbound', 'user', 'received', ?, ?, ?, ?)",
                (owner_id, f"msg_{key}", conversation, body, f"SM{key}", at, at),
            )
            made.append(f"cnv_{key}")
    return made[::-1]
