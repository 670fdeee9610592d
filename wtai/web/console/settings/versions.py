"""The history of a specialist: who set it when, what that changed, and the way back."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

from aiohttp import web
from pydantic import JsonValue

from wtai.ai.features_store import Feature
from wtai.ai.specialists import FAMILIES, checked
from wtai.ai.views_store import FeatureVersion, delete_feature, feature_rows, feature_version, feature_versions
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.identity.users_store import staff
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.features import put
from wtai.web.console.settings.forms import BLANK, Form, key_of, sent, version_of
from wtai.web.console.settings.frame import PLACE, over, show

_PATH: Final = f"{PLACE}/features"
_ALL: Final = f"{_PATH}/{{feature}}/versions"
_ONE: Final = f"{_ALL}/{{version}}"
_SHOWN: Final = 50
_AROUND: Final = 3
"""Lines that are shown unchanged around a change."""

Mark = Literal["same", "added", "removed", "gap"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a comparison."""

    mark: Mark
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """What differs of one part of a configuration."""

    name: str
    lines: tuple[Line, ...]


async def versions(visit: Visit) -> web.StreamResponse:
    """The newest first."""
    name, before = visit.ids["feature"], key_of(visit.request.query.get("before"))

    def work(tx: OwnerTx) -> tuple[list[FeatureVersion], int, dict[str, str]]:
        rows = feature_versions(tx, name, before=before, limit=_SHOWN + 1)
        if not rows and before is None and name not in FAMILIES:
            raise NotFound(f"no feature {name}")
        return rows, _in_force(tx, name), _names(tx)

    rows, in_force, names = await visit.read(work)
    shown = list(zip(rows, [*rows[1:], None], strict=True))[:_SHOWN]
    return show(
        visit,
        "versions.html",
        _PATH,
        name=name,
        versions=[(row, [change.name for change in changes(earlier, row)]) for row, earlier in shown],
        following=rows[_SHOWN - 1].version if len(rows) > _SHOWN else None,
        in_force=in_force,
        names=names,
    )


async def version(visit: Visit) -> web.StreamResponse:
    """What it changed, and how it differs from what is in force."""
    return await _one(visit, BLANK)


async def restore(visit: Visit) -> web.StreamResponse:
    """Put it in force again: as a new version, so that this can be taken back too."""
    name, number = visit.ids["feature"], _number(visit)

    async def work(given: Mapping[str, str]) -> web.Response:
        seen = version_of(given)

        def write(tx: OwnerTx) -> None:
            wanted = feature_version(tx, name, number)
            if wanted.config is not None and wanted.enabled is not None:
                checked(name, wanted.config)
                put(tx, visit, Feature(name, wanted.enabled, wanted.config), seen)
            elif _in_force(tx, name):
                delete_feature(tx, name, version=seen, actor=visit.actor, now=visit.now)

        await visit.audited("features.update", name, write)
        return over(visit, f"{_ALL.replace('{feature}', name)}", "restored")

    return await sent(visit, work, lambda form: _one(visit, form))


def changes(before: FeatureVersion | None, after: FeatureVersion | None) -> list[Change]:
    """What one version has otherwise than another; None: nothing was set."""
    old, new = _parts(before), _parts(after)
    found = []
    for name in dict.fromkeys([*new, *old]):
        lines = tuple(compared(old.get(name, ""), new.get(name, "")))
        if lines:
            found.append(Change(name, lines))
    return found


def compared(old: str, new: str) -> Iterator[Line]:
    """The lines of two texts, those that differ with a few around them; nothing if none do."""
    if old == new:
        return
    olds, news = old.splitlines(), new.splitlines()
    groups = list(SequenceMatcher(None, olds, news, autojunk=False).get_grouped_opcodes(_AROUND))
    for number, group in enumerate(groups):
        if number:
            yield Line("gap", "")
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                yield from (Line("same", text) for text in olds[old_from:old_to])
                continue
            yield from (Line("removed", text) for text in olds[old_from:old_to])
            yield from (Line("added", text) for text in news[new_from:new_to])


async def _one(visit: Visit, form: Form) -> web.Response:
    name, number = visit.ids["feature"], _number(visit)

    def work(tx: OwnerTx) -> tuple[FeatureVersion, FeatureVersion | None, FeatureVersion | None, dict[str, str]]:
        wanted = feature_version(tx, name, number)
        earlier = next(iter(feature_versions(tx, name, before=number, limit=1)), None)
        newest = next(iter(feature_versions(tx, name, limit=1)), None)
        return wanted, earlier, newest, _names(tx)

    wanted, earlier, newest, names = await visit.read(work)
    in_force = newest.version if newest is not None and newest.config is not None else 0
    return show(
        visit,
        "version.html",
        _PATH,
        status=form.status,
        form=form,
        version=wanted,
        changed=changes(earlier, wanted),
        against=changes(newest, wanted),
        is_newest=newest is not None and newest.version == number,
        in_force=in_force,
        names=names,
    )


def _parts(version: FeatureVersion | None) -> dict[str, str]:
    """The configuration as texts to be compared: one for each of its fields, lists with a thing a line."""
    if version is None or version.config is None:
        return {}
    config: dict[str, JsonValue] = json.loads(version.config)
    return {"enabled": "on" if version.enabled else "off", **{name: _text(value) for name, value in config.items()}}


def _text(value: JsonValue) -> str:
    return "\n".join(_text(item) for item in value) if isinstance(value, list) else str(value)


def _in_force(tx: OwnerTx, name: str) -> int:
    return next((row.version for row in feature_rows(tx) if row.name == name), 0)


def _names(tx: OwnerTx) -> dict[str, str]:
    return {user.public_id: user.name or user.email or "" for user in staff(tx)}


def _number(visit: Visit) -> int:
    number = key_of(visit.ids["version"])
    if number is None:
        raise NotFound("no such version")
    return number


PAGES = (
    Page("GET", _ALL, versions, "features.update"),
    Page("GET", _ONE, version, "features.update"),
    Page("POST", f"{_ONE}/restore", restore, "features.update"),
)
