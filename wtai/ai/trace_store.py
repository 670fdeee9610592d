"""SQL of what explains a turn beside its result: what the memories say that were shown, and how the words were judged."""

from collections.abc import Iterable
from dataclasses import dataclass

from wtai.db.tx import OwnerTx


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a message was taken for a goodbye: three scores, what they came to, and a veto's name."""

    keyword: float
    pattern: float
    context: float
    modifier: float
    confidence: float
    veto: str | None
    decision: str


def judgement_of_turn(tx: OwnerTx, result_id: int) -> Judgement | None:
    """How the newest message that a turn answered was judged; None if nobody asked."""
    row = tx.one(
        """
        SELECT d.keyword, d.pattern, d.context, d.modifier, d.confidence, d.veto, d.decision
        FROM ai_results r JOIN closure_decisions d ON d.owner_id = r.owner_id AND d.message_id = r.through_message_id
        WHERE r.owner_id = :owner AND r.id = :id
        """,
        id=result_id,
    )
    return Judgement(**dict(row)) if row else None


def judgement_of_message(tx: OwnerTx, message_id: int) -> Judgement | None:
    """The same, by the message."""
    row = tx.one(
        """
        SELECT keyword, pattern, context, modifier, confidence, veto, decision FROM closure_decisions
        WHERE owner_id = :owner AND message_id = :id
        """,
        id=message_id,
    )
    return Judgement(**dict(row)) if row else None


def memory_texts(tx: OwnerTx, user_id: int, public_ids: Iterable[str]) -> dict[str, str]:
    """What these memories of a person say; those that were forgotten are left out."""
    found = {}
    for public in public_ids:
        row = tx.one(
            "SELECT text FROM memories WHERE owner_id = :owner AND user_id = :user_id AND public_id = :public",
            user_id=user_id,
            public=public,
        )
        if row is not None:
            found[public] = str(row["text"])
    return found
