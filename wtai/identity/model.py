"""Values of identity: who an owner is, and who its people are."""

from dataclasses import dataclass, field

from wtai.identity.access import Role


@dataclass(frozen=True, slots=True)
class Owner:
    """A tenant. ``locale`` is the language of the texts that wtai itself says to the owner's customers."""

    id: int
    public_id: str
    name: str
    locale: str
    status: str
    version: int
    created_at: int


@dataclass(frozen=True, slots=True)
class User:
    """A person of an owner. End users have no ``email``; ``token_version`` is part of each access token."""

    id: int
    owner_id: int
    public_id: str
    role: Role
    name: str | None
    email: str | None
    status: str
    token_version: int
    version: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class Account:
    """A user who may log in, with what the password is checked against and the standing of the owner."""

    user: User
    password_hash: str = field(repr=False)
    owner_public_id: str
    owner_status: str

    @property
    def is_active(self) -> bool:
        """Whether the user may log in at all."""
        return self.user.status == "active" and self.owner_status == "active"
