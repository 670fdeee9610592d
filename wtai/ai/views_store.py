"""SQL of what people see of the AI: features as set, and what is kept of turns."""

from dataclasses import dataclass
from typing import Final

from wtai.ai.features_store import Feature, reset_feature, set_feature
from wtai.db.tx import OwnerTx, Row
from wtai.errors import NotFound, StaleVersion
from wtai.identity.audit_store import Actor

_FEATURE: Final = "SELECT name, enabled, config, version, created_at, updated_at FROM features"
_VERSION: Final = "SELECT name, version, enabled, config, actor_kind, actor, created_at FROM feature_versions"
_RESULT: Final = """
SELECT r.id, r.public_id, c.public_id AS conversation, r.feature, r.outcome, r.model, r.prompt_id, r.prompts, r.stepped_down,
    r.exchange, r.calls, r.route, r.memories, r.requests, r.prompt_tokens, r.cached_tokens, r.completion_tokens, r.cost,
    r.latency_ms, r.created_at
FROM ai_results r JOIN conversations c ON c.owner_id = r.owner_id AND c.id = r.conversation_id
"""
_FAR: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """What an owner set of a specialist; ``config`` is JSON."""

    name: str
    enabled: bool
    config: str
    version: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class FeatureVersion:
    """What somebody set a feature to; ``config`` (JSON) and ``enabled`` are None where it went back to what the program ships."""

    name: str
    version: int
    enabled: bool | None
    config: str | None
    actor_kind: str
    actor: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class ResultRow:
    """What is kept of a turn. ``prompts``, ``exchange``, ``calls``, ``route`` and ``memories`` are JSON; ``cost`` in micros."""

    id: int
    public_id: str
    conversation: str
    feature: str
    outcome: str
    model: str | None
    prompt_id: str | None
    prompts: str
    stepped_down: bool
    exchange: str
    calls: str
    route: str
    memories: str
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost: int
    latency_ms: int
    created_at: int


def feature_rows(tx: OwnerTx) -> list[FeatureRow]:
    """All that the owner set, oldest first."""
    return [_feature(row) for row in tx.all(f"{_FEATURE} WHERE owner_id = :owner ORDER BY id")]


def feature_row(tx: OwnerTx, name: str) -> FeatureRow:
    """NotFound if the owner set nothing of this name."""
    row = tx.one(f"{_FEATURE} WHERE owner_id = :owner AND name = :name", name=name)
    if row is None:
        raise NotFound(f"nothing is set of {name}")
    return _feature(row)


def put_feature(tx: OwnerTx, feature: Feature, *, version: int | None, actor: Actor, now: int) -> FeatureRow:
    """Set it. StaleVersion if what is set is not at ``version``, or nothing is set."""
    _require(tx, feature.name, version)
    set_feature(tx, feature, actor=actor, now=now)
    return feature_row(tx, feature.name)


def delete_feature(tx: OwnerTx, name: str, *, version: int | None, actor: Actor, now: int) -> None:
    """Set it back to what the program ships. NotFound; StaleVersion as above."""
    feature_row(tx, name)
    _require(tx, name, version)
    reset_feature(tx, name, actor=actor, now=now)


def feature_versions(tx: OwnerTx, name: str, *, before: int | None = None, limit: int) -> list[FeatureVersion]:
    """What a feature was set to, newest first: up to ``limit`` below the version ``before``."""
    rows = tx.all(
        f"{_VERSION} WHERE owner_id = :owner AND name = :name AND version < :before ORDER BY version DESC LIMIT :limit",
        name=name,
        before=_FAR if before is None else before,
        limit=limit,
    )
    return [_version(row) for row in rows]


def feature_version(tx: OwnerTx, name: str, version: int) -> FeatureVersion:
    """NotFound if the owner's feature had no such version."""
    row = tx.one(f"{_VERSION} WHERE owner_id = :owner AND name = :name AND version = :version", name=name, version=version)
    if row is None:
        raise NotFound(f"feature {name} had no version {version}")
    return _version(row)


def result_rows(tx: OwnerTx, *, conversation_id: int | None = None, before: int | None = None, limit: int) -> list[ResultRow]:
    """Turns of a conversation, or of all, newest first, with a key below ``before``."""
    of_one = "AND r.conversation_id = :conversation_id" if conversation_id is not None else ""
    rows = tx.all(
        f"{_RESULT} WHERE r.owner_id = :owner AND r.id < :before {of_one} ORDER BY r.id DESC LIMIT :limit",
        conversation_id=conversation_id,
        before=_FAR if before is None else before,
        limit=limit,
    )
    return [_result(row) for row in rows]


def result_row(tx: OwnerTx, public: str) -> ResultRow:
    """NotFound if the owner has no such turn."""
    row = tx.one(f"{_RESULT} WHERE r.owner_id = :owner AND r.public_id = :public", public=public)
    if row is None:
        raise NotFound(f"no AI result {public}")
    return _result(row)


def _require(tx: OwnerTx, name: str, version: int | None) -> None:
    row = tx.one(f"{_FEATURE} WHERE owner_id = :owner AND name = :name", name=name)
    if version is not None and (row is None or row["version"] != version):
        raise StaleVersion(f"feature {name} is not at version {version}: read it again")


def _result(row: Row) -> ResultRow:
    return ResultRow(**{**row, "stepped_down": bool(row["stepped_down"])})


def _feature(row: Row) -> FeatureRow:
    return FeatureRow(**{**row, "enabled": bool(row["enabled"])})


def _version(row: Row) -> FeatureVersion:
    return FeatureVersion(**{**row, "enabled": None if row["enabled"] is None else bool(row["enabled"])})
