"""SQL of labels: what an owner's staff sort conversations by, and which conversation has which."""

from dataclasses import dataclass
from typing import Final

from wtai.conversation.changes_store import note_change
from wtai.db.tx import OwnerTx, Row
from wtai.errors import NotFound, WtaiError
from wtai.ids import public_id

COLOURS: Final = ("grey", "red", "orange", "yellow", "green", "blue", "purple", "pink")

MOST: Final = 100
"""Labels of an owner."""


class LabelTaken(WtaiError):
    """The owner has another label of this name, in whatever case."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label. ``colour`` is one of COLOURS."""

    id: int
    public_id: str
    name: str
    colour: str


def label_rows(tx: OwnerTx) -> list[Label]:
    """All of the owner's, by name."""
    rows = tx.all("SELECT id, public_id, name, colour FROM labels WHERE owner_id = :owner ORDER BY folded")
    return [_label(row) for row in rows]


def label_of(tx: OwnerTx, public: str) -> Label:
    """NotFound if the owner has no such label."""
    row = tx.one("SELECT id, public_id, name, colour FROM labels WHERE owner_id = :owner AND public_id = :public", public=public)
    if row is None:
        raise NotFound(f"no label {public}")
    return _label(row)


def insert_label(tx: OwnerTx, name: str, colour: str, *, now: int) -> Label:
    """A new label. LabelTaken."""
    rows = tx.all(
        """
        INSERT INTO labels (owner_id, public_id, name, folded, colour, created_at)
        VALUES (:owner, :public, :name, :folded, :colour, :now)
        ON CONFLICT (owner_id, folded) DO NOTHING RETURNING id, public_id, name, colour
        """,
        public=public_id("lab"),
        name=name,
        folded=name.casefold(),
        colour=colour,
        now=now,
    )
    if not rows:
        raise LabelTaken(name)
    return _label(rows[0])


def change_label(tx: OwnerTx, label: Label, name: str, colour: str) -> None:
    """Rename or recolour a label. LabelTaken."""
    changed = tx.run(
        """
        UPDATE labels SET name = :name, folded = :folded, colour = :colour
        WHERE owner_id = :owner AND id = :id AND NOT EXISTS (
            SELECT 1 FROM labels o WHERE o.owner_id = :owner AND o.folded = :folded AND o.id <> :id
        )
        """,
        id=label.id,
        name=name,
        folded=name.casefold(),
        colour=colour,
    )
    if not changed:
        raise LabelTaken(name)


def delete_label(tx: OwnerTx, label: Label) -> None:
    """Take a label off everything, and away."""
    tx.run("DELETE FROM labels WHERE owner_id = :owner AND id = :id", id=label.id)


def label_ids_of(tx: OwnerTx, conversation_id: int) -> list[int]:
    """The labels on a conversation, oldest first."""
    rows = tx.all(
        "SELECT label_id FROM conversation_labels WHERE owner_id = :owner AND conversation_id = :id ORDER BY label_id",
        id=conversation_id,
    )
    return [row["label_id"] for row in rows]


def labels_of(tx: OwnerTx, conversation_id: int) -> list[Label]:
    """The labels on a conversation, by name."""
    on = set(label_ids_of(tx, conversation_id))
    return [label for label in label_rows(tx) if label.id in on]


def put_label(tx: OwnerTx, conversation_id: int, label: Label, *, now: int) -> bool:
    """Put a label on a conversation; False if it was on it."""
    put = tx.run(
        """
        INSERT INTO conversation_labels (owner_id, conversation_id, label_id, created_at)
        VALUES (:owner, :conversation_id, :label_id, :now) ON CONFLICT (owner_id, conversation_id, label_id) DO NOTHING
        """,
        conversation_id=conversation_id,
        label_id=label.id,
        now=now,
    )
    if put:
        note_change(tx, conversation_id, now=now)
    return bool(put)


def take_label(tx: OwnerTx, conversation_id: int, label: Label, *, now: int) -> bool:
    """Take a label off a conversation; False if it was not on it."""
    taken = tx.run(
        "DELETE FROM conversation_labels WHERE owner_id = :owner AND conversation_id = :conversation_id AND label_id = :label_id",
        conversation_id=conversation_id,
        label_id=label.id,
    )
    if taken:
        note_change(tx, conversation_id, now=now)
    return bool(taken)


def label_uses(tx: OwnerTx, label: Label) -> int:
    """On how many conversations a label is."""
    rows = tx.all(
        "SELECT count(*) AS n FROM conversation_labels WHERE owner_id = :owner AND label_id = :label_id", label_id=label.id
    )
    return int(rows[0]["n"])


def _label(row: Row) -> Label:
    return Label(**dict(row))
