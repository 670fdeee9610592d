"""SQL of the people of an owner: staff who log in, end users who write, and the platform's own people."""

import re
from typing import Final, Literal

from wtai.db.tx import OwnerTx, Row, SystemTx
from wtai.errors import NotFound, StaleVersion, WtaiError
from wtai.identity.access import Role
from wtai.identity.model import Account, User
from wtai.ids import public_id

MAX_EMAIL: Final = 254  # RFC 5321 §4.5.3.1.3, without the angle brackets

_EMAIL: Final = re.compile(r"[^@\s<>\"',;]+@[^@\s<>\"',;]+\.[^@\s<>\"',;]+")
_USER: Final = (
    "SELECT id, owner_id, public_id, role, name, email, status, token_version, version, created_at, updated_at FROM users"
)
_HAS_ADDRESS: Final = "EXISTS (SELECT 1 FROM user_addresses a WHERE a.owner_id = users.owner_id AND a.user_id = users.id)"


class WrongEmail(WtaiError):
    """This is no e-mail address."""


class EmailTaken(WtaiError):
    """Another user of the owner has this e-mail address."""


class LastAdmin(WtaiError):
    """The owner would be left without an administrator who may log in."""


def folded(email: str) -> str:
    """An e-mail address as it is kept and looked up: without regard to case."""
    return email.strip().casefold()


def check_email(email: str) -> None:
    """WrongEmail unless it looks like an address: one that no mail reaches is found by sending some, not by a pattern."""
    if len(email) > MAX_EMAIL or not email.isprintable() or not _EMAIL.fullmatch(email.strip()):
        raise WrongEmail("an e-mail address looks like ana@example.com")


def create_user(tx: OwnerTx, role: Role, name: str | None, email: str, password_hash: str, *, now: int) -> User:
    """Someone who may log in. EmailTaken."""
    rows = tx.all(
        """
        INSERT INTO users (owner_id, public_id, role, name, email, password_hash, created_at)
        VALUES (:owner, :public_id, :role, :name, :email, :password_hash, :now)
        ON CONFLICT (email, owner_id) WHERE email IS NOT NULL DO NOTHING
        RETURNING id, owner_id, public_id, role, name, email, status, token_version, version, created_at, updated_at
        """,
        public_id=public_id("usr"),
        role=role,
        name=name,
        email=folded(email),
        password_hash=password_hash,
        now=now,
    )
    if not rows:
        raise EmailTaken("a user with this e-mail address is there already")
    return _user(rows[0])


def staff(tx: OwnerTx, *, after: int = 0, limit: int = -1) -> list[User]:
    """Who may log in, oldest first: up to ``limit`` (all, below zero) with a key above ``after``."""
    rows = tx.all(
        f"{_USER} WHERE owner_id = :owner AND email IS NOT NULL AND id > :after ORDER BY id LIMIT :limit",
        after=after,
        limit=limit,
    )
    return [_user(row) for row in rows]


def end_users(tx: OwnerTx, *, after: int = 0, limit: int = -1) -> list[User]:
    """The owner's customers, oldest first, as above. Without an address it is nobody: what stands for people who were erased."""
    rows = tx.all(
        f"""
        {_USER} WHERE owner_id = :owner AND email IS NULL AND id > :after AND {_HAS_ADDRESS}
        ORDER BY id LIMIT :limit
        """,
        after=after,
        limit=limit,
    )
    return [_user(row) for row in rows]


def user_of_public_id(tx: OwnerTx, public: str) -> User:
    """NotFound if the owner has no such person."""
    row = tx.one(f"{_USER} WHERE owner_id = :owner AND public_id = :public", public=public)
    if row is None:
        raise NotFound(f"no user {public}")
    return _user(row)


def user_of_email(tx: OwnerTx, email: str) -> User:
    """NotFound if nobody of the owner logs in with this address."""
    row = tx.one(f"{_USER} WHERE owner_id = :owner AND email = :email", email=folded(email))
    if row is None:
        raise NotFound("nobody of this owner has this e-mail address; `wtai user list` shows who there is")
    return _user(row)


def addresses_of(tx: OwnerTx, user: User) -> list[str]:
    """Every address an end user was seen under."""
    rows = tx.all("SELECT address FROM user_addresses WHERE owner_id = :owner AND user_id = :id ORDER BY address", id=user.id)
    return [row["address"] for row in rows]


def account_of_login(tx: SystemTx, email: str, owner: str | None) -> Account | None:
    """Whom a log-in with this address is for: the user of ``owner`` (a public id), else the platform's, else the oldest."""
    row = tx.one(
        """
        SELECT u.id, u.owner_id, u.public_id, u.role, u.name, u.email, u.status, u.token_version, u.version, u.created_at,
            u.updated_at, u.password_hash, o.public_id AS owner_public_id, o.status AS owner_status
        FROM users u JOIN owners o ON o.id = u.owner_id
        WHERE u.email = :email AND o.public_id = coalesce(:named, o.public_id)
        ORDER BY u.owner_id > 0, u.id LIMIT 1
        """,
        email=folded(email),
        named=owner,
    )
    return _account(row) if row else None


def password_hash_of(tx: OwnerTx, user: User) -> str:
    """What the user's password is checked against. NotFound for an end user."""
    row = tx.one("SELECT password_hash FROM users WHERE owner_id = :owner AND id = :id AND password_hash IS NOT NULL", id=user.id)
    if row is None:
        raise NotFound(f"user {user.public_id} does not log in")
    return str(row["password_hash"])


def rename_user(tx: OwnerTx, user: User, name: str | None, *, version: int | None = None, now: int) -> User:
    """Call a person by another name. StaleVersion if the user is not at ``version`` any more."""
    return _changed(tx, user, version, renamed=True, name=name, now=now)


def set_role(tx: OwnerTx, user: User, role: Role, *, version: int | None = None, now: int) -> User:
    """Make staff what ``role`` says; their access tokens are void. LastAdmin; StaleVersion as above."""
    changed = _changed(tx, user, version, role=role, now=now)
    _keep_an_admin(tx, user)
    return changed


def set_user_status(
    tx: OwnerTx, user: User, status: Literal["active", "disabled"], *, version: int | None = None, now: int
) -> User:
    """Let a user in or shut it out; its access tokens are void. LastAdmin; StaleVersion as above."""
    changed = _changed(tx, user, version, status=status, now=now)
    _keep_an_admin(tx, user)
    return changed


def set_password_hash(tx: OwnerTx, user: User, password_hash: str, *, version: int | None = None, now: int) -> User:
    """Give a user another password; its access tokens are void. StaleVersion as above."""
    return _changed(tx, user, version, password_hash=password_hash, now=now)


def rehash(tx: OwnerTx, user: User, old: str, new: str) -> None:
    """Keep the same password under another cost, unless it was changed meanwhile."""
    tx.run(
        "UPDATE users SET password_hash = :new WHERE owner_id = :owner AND id = :id AND password_hash = :old",
        id=user.id,
        old=old,
        new=new,
    )


def count_staff(tx: OwnerTx) -> int:
    """How many of the owner may log in."""
    rows = tx.all("SELECT count(*) AS n FROM users WHERE owner_id = :owner AND email IS NOT NULL AND status = 'active'")
    return int(rows[0]["n"])


def has_admin(tx: SystemTx) -> bool:
    """Whether any owner has an administrator."""
    return tx.one("SELECT 1 FROM users WHERE email IS NOT NULL AND role = 'admin' LIMIT 1") is not None


def _changed(
    tx: OwnerTx,
    user: User,
    version: int | None,
    *,
    renamed: bool = False,
    name: str | None = None,
    role: Role | None = None,
    status: str | None = None,
    password_hash: str | None = None,
    now: int,
) -> User:
    """Change what is given; all but a name voids the user's access tokens."""
    rows = tx.all(
        """
        UPDATE users SET name = CASE WHEN :renamed THEN :name ELSE name END, role = coalesce(:role, role),
            status = coalesce(:status, status), password_hash = coalesce(:password_hash, password_hash),
            token_version = token_version + CASE WHEN :renamed THEN 0 ELSE 1 END, version = version + 1, updated_at = :now
        WHERE owner_id = :owner AND id = :id AND version = coalesce(:version, version)
        RETURNING id, owner_id, public_id, role, name, email, status, token_version, version, created_at, updated_at
        """,
        id=user.id,
        version=version,
        renamed=int(renamed),
        name=name,
        role=role,
        status=status,
        password_hash=password_hash,
        now=now,
    )
    if not rows:
        current = user_of_public_id(tx, user.public_id)
        raise StaleVersion(f"user {current.public_id} is at version {current.version}, not {version}: read it again")
    return _user(rows[0])


def _keep_an_admin(tx: OwnerTx, before: User) -> None:
    if before.role not in (Role.ADMIN, Role.PLATFORM) or before.status != "active":
        return
    left = tx.one("SELECT id FROM users WHERE owner_id = :owner AND role = :role AND status = 'active' LIMIT 1", role=before.role)
    if left is None:
        raise LastAdmin("this is the last administrator who may log in; make another one first")


def _user(row: Row) -> User:
    return User(
        row["id"],
        row["owner_id"],
        row["public_id"],
        Role(row["role"]),
        row["name"],
        row["email"],
        row["status"],
        row["token_version"],
        row["version"],
        row["created_at"],
        row["created_at"] if row["updated_at"] is None else row["updated_at"],
    )


def _account(row: Row) -> Account:
    return Account(_user(row), row["password_hash"], row["owner_public_id"], row["owner_status"])
