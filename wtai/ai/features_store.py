"""SQL of the features that an owner switched and set: whoever does so leaves a version behind."""

from dataclasses import dataclass

from wtai.db.tx import OwnerTx
from wtai.identity.audit_store import Actor
from wtai.ids import public_id


@dataclass(frozen=True, slots=True)
class Feature:
    """What an owner set of a specialist; ``config`` is JSON."""

    name: str
    enabled: bool
    config: str


def features(tx: OwnerTx) -> tuple[Feature, ...]:
    """All that the owner set, oldest first."""
    rows = tx.all("SELECT name, enabled, config FROM features WHERE owner_id = :owner ORDER BY id")
    return tuple(Feature(row["name"], bool(row["enabled"]), row["config"]) for row in rows)


def set_feature(tx: OwnerTx, feature: Feature, *, actor: Actor, now: int) -> None:
    """Set it, in place of what was set before, and note that as a version; ``config`` has been checked."""
    tx.run(
        """
        INSERT INTO features (owner_id, public_id, name, enabled, config, version, created_at, updated_at)
        VALUES (:owner, :public_id, :name, :enabled, :config, :version, :now, :now)
        ON CONFLICT (owner_id, name) DO UPDATE SET enabled = excluded.enabled, config = excluded.config,
            version = excluded.version, updated_at = excluded.updated_at
        """,
        public_id=public_id("fea"),
        name=feature.name,
        enabled=int(feature.enabled),
        config=feature.config,
        version=_note(tx, feature.name, feature, actor, now),
        now=now,
    )


def reset_feature(tx: OwnerTx, name: str, *, actor: Actor, now: int) -> None:
    """Set it back to what the program ships, and note that as a version. Nothing is done where nothing is set."""
    if tx.run("DELETE FROM features WHERE owner_id = :owner AND name = :name", name=name):
        _note(tx, name, None, actor, now)


def _note(tx: OwnerTx, name: str, feature: Feature | None, actor: Actor, now: int) -> int:
    rows = tx.all(
        """
        INSERT INTO feature_versions (owner_id, name, version, enabled, config, actor_kind, actor, created_at)
        SELECT :owner, :name, coalesce(max(version), 0) + 1, :enabled, :config, :actor_kind, :actor, :now
        FROM feature_versions WHERE owner_id = :owner AND name = :name
        RETURNING version
        """,
        name=name,
        enabled=None if feature is None else int(feature.enabled),
        config=None if feature is None else feature.config,
        actor_kind=actor.kind,
        actor=actor.id,
        now=now,
    )
    return int(rows[0]["version"])
