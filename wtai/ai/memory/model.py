"""Values of memory: a fact as kept, and one to keep."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact as kept. ``keys``: see :mod:`wtai.ai.memory.reading`; ``similarity``: cosine with a query, if both have vectors."""

    id: int
    public_id: str
    text: str
    kind: str
    entity: str | None
    attribute: str | None
    observed_at: int
    superseded_by: int | None
    keys: str
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact to keep; ``entity`` and ``attribute`` folded, or both None. Times in ms since 1970."""

    text: str
    kind: str
    entity: str | None
    attribute: str | None
    observed_at: int
    source_message_id: int | None
    text_hash: str
    keys: str
    keys_version: int
