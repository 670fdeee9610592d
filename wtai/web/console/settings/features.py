"""Specialists: switched on and off, with their prompts and models; the owner's own added."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Final

from aiohttp import web
from pydantic import JsonValue

from wtai.ai.features_store import Feature
from wtai.ai.specialists import FAMILIES, checked, shipped_prompt
from wtai.ai.tools.http_store import http_tools
from wtai.ai.views_store import FeatureRow, delete_feature, feature_rows, feature_versions, put_feature
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound, StaleVersion
from wtai.identity.plans import allowed_features
from wtai.identity.plans_store import limits_of
from wtai.identity.store import owner
from wtai.web.api.models import Given
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import BLANK, Form, lines, read, sent, version_of
from wtai.web.console.settings.frame import PLACE, over, show
from wtai.web.console.settings.words import Refused

_PATH: Final = f"{PLACE}/features"
_ONE: Final = f"{_PATH}/{{feature}}"
_TOOL: Final = "tool:"
_TYPED: Final = ("description", "prompt", "model", "currency", "confirm_above", "birthday_reminder_hour")
_LISTS: Final = ("categories",)
_LANGUAGES: Final = ("pt-BR", "es", "en")


class Name(Given):
    """What a specialist of the owner's own is called."""

    name: str


@dataclass(frozen=True, slots=True)
class Specialist:
    """A specialist as it stands; ``version`` is 0 where the owner set nothing, ``fields`` are those its configuration has."""

    name: str
    enabled: bool
    in_plan: bool
    version: int
    config: Mapping[str, JsonValue]
    updated_at: int | None
    built_in: bool
    fields: Mapping[str, JsonValue]

    @property
    def works(self) -> bool:
        """Whether it answers anybody."""
        return self.enabled and self.in_plan


async def features(visit: Visit) -> web.StreamResponse:
    """All specialists, and the form for one of the owner's own."""
    return await _listed(visit, BLANK)


async def create(visit: Visit) -> web.StreamResponse:
    """A specialist of the owner's own."""

    async def work(given: Mapping[str, str]) -> web.Response:
        name = read(Name, given).name
        config = json.dumps({key: given.get(key, "").strip() for key in ("description", "prompt")}, ensure_ascii=False)
        checked(name, config)

        def write(tx: OwnerTx) -> None:
            if any(one.name == name for one in specialists(tx)):
                raise Refused("name", visit.text("There is a specialist of this name already."))
            put(tx, visit, Feature(name, True, config), 0)

        await visit.audited("features.update", name, write)
        return over(visit, f"{_PATH}/{name}", "added")

    return await sent(visit, work, lambda form: _listed(visit, form))


async def feature(visit: Visit) -> web.StreamResponse:
    """One of them."""
    return await _one(visit, BLANK)


async def save(visit: Visit) -> web.StreamResponse:
    """In place of what was set before, which stays in the history."""

    async def work(given: Mapping[str, str]) -> web.Response:
        name = visit.ids["feature"]

        def write(tx: OwnerTx) -> None:
            config = json.dumps(_config(one(tx, name), given), ensure_ascii=False)
            checked(name, config)
            put(tx, visit, Feature(name, "enabled" in given, config), version_of(given))

        await visit.audited("features.update", name, write)
        return over(visit, f"{_PATH}/{name}", "saved")

    return await sent(visit, work, lambda form: _one(visit, form))


async def switch(visit: Visit) -> web.StreamResponse:
    """On or off, with all else as it is."""
    name, enabled = visit.ids["feature"], (await visit.form()).get("enabled") == "1"

    async def work(given: Mapping[str, str]) -> web.Response:
        def write(tx: OwnerTx) -> None:
            before = one(tx, name)
            put(tx, visit, Feature(name, enabled, json.dumps(before.config, ensure_ascii=False)), version_of(given))

        await visit.audited("features.update", name, write)
        return over(visit, _PATH, "on" if enabled else "off")

    return await sent(visit, work, lambda form: _listed(visit, form))


async def reset(visit: Visit) -> web.StreamResponse:
    """Back to what the program ships; a specialist of the owner's own is gone. Its history stays."""
    name = visit.ids["feature"]

    async def work(given: Mapping[str, str]) -> web.Response:
        def write(tx: OwnerTx) -> None:
            delete_feature(tx, name, version=version_of(given), actor=visit.actor, now=visit.now)

        await visit.audited("features.delete", name, write)
        return over(visit, _PATH, "reset" if name in FAMILIES else "deleted")

    return await sent(visit, work, lambda form: _one(visit, form))


def put(tx: OwnerTx, visit: Visit, wanted: Feature, version: int | None) -> None:
    """Set a feature that was at ``version``, 0 where nothing was set. StaleVersion; Refused if the plan does not have it."""
    if wanted.enabled and not allowed_features(limits_of(tx), [wanted.name]):
        raise Refused("", visit.text("Your plan does not have this specialist."))
    if version == 0 and any(row.name == wanted.name for row in feature_rows(tx)):
        raise StaleVersion(f"something is set of {wanted.name} by now")
    put_feature(tx, wanted, version=version or None, actor=visit.actor, now=visit.now)


def specialists(tx: OwnerTx) -> list[Specialist]:
    """Those that come with the program, and the owner's own."""
    known = {row.name: row for row in feature_rows(tx)}
    names = list(dict.fromkeys([*FAMILIES, *known]))
    in_plan, locale = allowed_features(limits_of(tx), names), owner(tx).locale
    return [_specialist(name, known.get(name), locale, in_plan=name in in_plan) for name in names]


def one(tx: OwnerTx, name: str) -> Specialist:
    """NotFound if the owner has no such specialist."""
    found = next((each for each in specialists(tx) if each.name == name), None)
    if found is None:
        raise NotFound(f"no feature {name}")
    return found


def _specialist(name: str, row: FeatureRow | None, locale: str, *, in_plan: bool) -> Specialist:
    family = FAMILIES.get(name)
    return Specialist(
        name=name,
        enabled=row.enabled if row else True,
        in_plan=in_plan,
        version=row.version if row else 0,
        config=json.loads(row.config) if row else {},
        updated_at=row.updated_at if row else None,
        built_in=family is not None,
        fields=_defaults(name, locale),
    )


@cache
def _defaults(name: str, locale: str) -> Mapping[str, JsonValue]:
    """The fields of a feature's configuration that are not everybody's, with what holds where nothing is set."""
    family = FAMILIES.get(name)
    if family is None:
        return {}
    shipped = family.in_language(family.config(), locale)
    return {
        field: str(value) if isinstance(value, Decimal) else list(value) if isinstance(value, tuple) else value
        for field, value in shipped
        if field in (*_TYPED[3:], *_LISTS)
    }


def _config(before: Specialist, given: Mapping[str, str]) -> dict[str, JsonValue]:
    """What the form sets; of fields that it does not have, what was set before."""
    kept = {name: value for name, value in before.config.items() if name not in (*_TYPED, *_LISTS, "tools")}
    typed: dict[str, JsonValue] = {name: given[name].strip() for name in _TYPED if given.get(name, "").strip()}
    listed = {name: lines(given.get(name, "")) for name in _LISTS}
    listed["tools"] = [name.removeprefix(_TOOL) for name in given if name.startswith(_TOOL)]
    return {**kept, **typed, **{name: list(found) for name, found in listed.items() if found}}


async def _listed(visit: Visit, form: Form) -> web.Response:
    found = await visit.read(specialists)
    model = visit.means.settings.openai.model
    return show(visit, "features.html", _PATH, status=form.status, form=form, specialists=found, model=model)


async def _one(visit: Visit, form: Form) -> web.Response:
    def work(tx: OwnerTx) -> tuple[Specialist, list[str], int]:
        found = one(tx, visit.ids["feature"])
        return found, [tool.name for tool in http_tools(tx)], len(feature_versions(tx, found.name, limit=1))

    found, tools, versions = await visit.read(work)
    family = FAMILIES.get(found.name)
    shipped = {language: shipped_prompt(found.name, language) for language in _LANGUAGES} if family else {}
    openai = visit.means.settings.openai
    return show(
        visit,
        "feature.html",
        _PATH,
        status=form.status,
        form=form,
        specialist=found,
        tools=tools,
        has_history=bool(versions),
        shipped=shipped,
        models=sorted({openai.model, openai.small_model, openai.router_model}),
        model=openai.model,
    )


PAGES = (
    Page("GET", _PATH, features, "features.update"),
    Page("POST", _PATH, create, "features.update"),
    Page("GET", _ONE, feature, "features.update"),
    Page("POST", _ONE, save, "features.update"),
    Page("POST", f"{_ONE}/switch", switch, "features.update"),
    Page("POST", f"{_ONE}/reset", reset, "features.delete"),
)
