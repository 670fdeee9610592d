"""Every place where a secret is sealed in the database, and how they are all sealed anew under another key.

This is the one list of such places: what is missing here would be lost with its old key. A test compares it with the code.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wtai.ai.tools.http_store import SECRET_FIELD
from wtai.channels.accounts import TOKEN_FIELD
from wtai.db.tx import Row, SystemTx
from wtai.hooks.model import SECRETS_FIELD
from wtai.secrets import Sealer, UnsealError, key_id

BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column with sealed texts, by its field name. ``rows`` selects id, owner_id and value above :after, ``put`` replaces a
    value that is still :old. ``is_list``: the value is a JSON list of sealed texts.
    """

    field: str
    rows: str
    put: str
    is_list: bool = False


SEALED: Final = (
    SealedColumn(
        TOKEN_FIELD,
        "SELECT id, owner_id, tokens AS value FROM twilio_accounts WHERE id > :after ORDER BY id LIMIT :limit",
        "UPDATE twilio_accounts SET tokens = :new WHERE owner_id = :owner_id AND id = :id AND tokens = :old",
        is_list=True,
    ),
    SealedColumn(
        SECRET_FIELD,
        "SELECT id, owner_id, secret AS value FROM http_tools WHERE id > :after ORDER BY id LIMIT :limit",
        "UPDATE http_tools SET secret = :new WHERE owner_id = :owner_id AND id = :id AND secret = :old",
    ),
    SealedColumn(
        SECRETS_FIELD,
        "SELECT id, owner_id, secrets AS value FROM webhook_endpoints WHERE id > :after ORDER BY id LIMIT :limit",
        "UPDATE webhook_endpoints SET secrets = :new WHERE owner_id = :owner_id AND id = :id AND secrets = :old",
        is_list=True,
    ),
    SealedColumn(
        "idempotency_keys.answer",
        "SELECT id, owner_id, answer AS value FROM idempotency_keys WHERE id > :after ORDER BY id LIMIT :limit",
        "UPDATE idempotency_keys SET answer = :new WHERE owner_id = :owner_id AND id = :id AND answer = :old",
    ),
)


@dataclass(frozen=True, slots=True)
class Batch:
    """What was done with some rows; ``last`` is the key of the last one, None if there were none."""

    last: int | None
    resealed: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """Sealed texts by field and key id, and those that do not open, each with the reason."""

    counts: dict[tuple[str, str], int]
    broken: tuple[str, ...]


def reseal_batch(tx: SystemTx, sealer: Sealer, column: SealedColumn, after: int, *, limit: int = BATCH) -> Batch:
    """Seal up to ``limit`` rows above ``after`` with the current key, where they are not already.

    UnsealError if one does not open. One batch is one transaction: a kill leaves each row under one key or the other, and both
    open.
    """
    current = sealer.key_ids[0]
    rows = tx.all(column.rows, after=after, limit=limit)
    resealed = 0
    for row in rows:
        texts = list(_texts(column, row))
        if all(key_id(text) == current for text in texts):
            continue
        owner_id = int(row["owner_id"])
        fresh = [sealer.seal(owner_id, column.field, sealer.unseal(owner_id, column.field, text)) for text in texts]
        new = json.dumps(fresh) if column.is_list else fresh[0]
        resealed += tx.run(column.put, owner_id=owner_id, id=row["id"], old=row["value"], new=new)
    return Batch(int(rows[-1]["id"]) if rows else None, resealed)


def inventory(tx: SystemTx, sealer: Sealer) -> Inventory:
    """Look at every sealed text, and try to open it."""
    counts: Counter[tuple[str, str]] = Counter()
    broken = []
    for column in SEALED:
        for row in tx.all(column.rows, after=0, limit=-1):
            for text in _texts(column, row):
                counts[column.field, key_id(text)] += 1
                try:
                    sealer.unseal(int(row["owner_id"]), column.field, text)
                except UnsealError as exc:
                    broken.append(str(exc))
    return Inventory(dict(counts), tuple(broken))


def _texts(column: SealedColumn, row: Row) -> Iterator[str]:
    if column.is_list:
        yield from json.loads(row["value"])
    else:
        yield row["value"]
