"""SQL of the features that an owner switched and set."""

from dataclasses import dataclass

from wtai.db.tx import OwnerTx
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


def set_feature(tx: OwnerTx, feature: Feature, *, now: int) -> None:
    """Set it, in place of what was set before; ``config`` has been checked."""
    tx.run(
        """
        INSERT INTO features (owner_id, public_id, name, enabled, config, created_at, updated_at)
        VALUES (:owner, :public_id, :name, :enabled, :config, :now, :now)
        ON CONFLICT (owner_id, name) DO UPDATE SET enabled = excluded.enabled, config = excluded.config,
            version = features.version + 1, updated_at = excluded.updated_at
        """,
        public_id=public_id("fea"),
        name=feature.name,
        enabled=int(feature.enabled),
        config=feature.config,
        now=now,
    )
