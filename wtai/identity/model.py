"""Values of identity: who an owner is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Owner:
    """A tenant. ``locale`` is the language of the texts that wtai itself says to the owner's customers."""

    id: int
    public_id: str
    name: str
    locale: str
    status: str
    created_at: int
