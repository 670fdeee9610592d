"""Features: the specialists that an owner switched, set or added."""

import json
from datetime import datetime
from typing import Annotated

from pydantic import Field, JsonValue

from wtai.ai.features_store import Feature
from wtai.ai.specialists import FAMILIES, checked
from wtai.ai.views_store import FeatureRow, delete_feature, feature_rows, put_feature
from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.identity.plans import allowed_features
from wtai.identity.plans_store import limits_of
from wtai.web.api.call import Call
from wtai.web.api.errors import wrong
from wtai.web.api.models import Given, Page, Paging, Versioned, at_or_none
from wtai.web.api.route import ROOT, Route
from wtai.web.problems import IF_MATCH, STALE, Fault, Problem

_TAG = "features"
_PATH = f"{ROOT}/features"
_ONE = f"{_PATH}/{{feature}}"


class FeatureGiven(Given):
    """``config`` is what the feature's own model takes; what is absent from it is as the program ships it."""

    enabled: bool = True
    config: Annotated[dict[str, JsonValue], Field(default_factory=dict, max_length=64)]


class FeatureView(Versioned):
    """A specialist: ``id`` is its name, ``version`` 0 while the owner set nothing of it."""

    enabled: bool
    in_plan: bool
    config: dict[str, JsonValue]
    updated_at: datetime | None


async def list_features(call: Call[None, Paging]) -> Page[FeatureView]:
    """Those that come with the program, and the owner's own."""
    rows = list(enumerate(await call.read(_listed), 1))[(call.after(1) or (0,))[0] :]
    return call.page(Page[FeatureView], rows, lambda row: row[1], lambda row: (row[0],))


async def read_feature(call: Call[None, None]) -> FeatureView:
    """One of them."""
    return await call.read(_one, call.ids["feature"])


async def set_feature(call: Call[FeatureGiven, None]) -> FeatureView:
    """In place of what was set before; without ``If-Match`` only where nothing is set."""
    name = call.ids["feature"]
    config = json.dumps(call.body.config, ensure_ascii=False)
    checked(name, config)

    def work(tx: OwnerTx) -> FeatureView:
        if call.body.enabled and not allowed_features(limits_of(tx), [name]):
            raise wrong("/enabled", "the owner's plan does not have this feature")
        before = _one_or_none(tx, name)
        if before is not None and before.version and not call.match_given:
            fault = Fault("If-Match", "something is set already: send the ETag of what you read")
            raise Problem(IF_MATCH, "If-Match is missing", [fault])
        feature = Feature(name, call.body.enabled, config)
        put_feature(tx, feature, version=call.if_match or None, actor=call.actor, now=call.now)
        return _one(tx, name)

    return await call.commit(work)


async def reset_feature(call: Call[None, None]) -> None:
    """Back to what the program ships; a specialist of the owner's own is gone."""

    def work(tx: OwnerTx) -> None:
        delete_feature(tx, call.ids["feature"], version=call.if_match, actor=call.actor, now=call.now)

    await call.commit(work)


def _listed(tx: OwnerTx) -> list[FeatureView]:
    known = {row.name: row for row in feature_rows(tx)}
    names = list(dict.fromkeys([*FAMILIES, *known]))
    in_plan = allowed_features(limits_of(tx), names)
    return [_shown(name, known.get(name), in_plan=name in in_plan) for name in names]


def _one_or_none(tx: OwnerTx, name: str) -> FeatureView | None:
    return next((view for view in _listed(tx) if view.id == name), None)


def _one(tx: OwnerTx, name: str) -> FeatureView:
    found = _one_or_none(tx, name)
    if found is None:
        raise NotFound(f"no feature {name}")
    return found


def _shown(name: str, row: FeatureRow | None, *, in_plan: bool) -> FeatureView:
    return FeatureView(
        id=name,
        version=row.version if row else 0,
        enabled=row.enabled if row else True,
        in_plan=in_plan,
        config=json.loads(row.config) if row else {},
        updated_at=at_or_none(row.updated_at if row else None),
    )


ROUTES = (
    Route(
        "GET",
        _PATH,
        list_features,
        "List the features",
        _TAG,
        {200: Page[FeatureView]},
        action="features.read",
        query=Paging,
        of_tenants=True,
    ),
    Route("GET", _ONE, read_feature, "Read a feature", _TAG, {200: FeatureView}, action="features.read", of_tenants=True),
    Route(
        "PUT",
        _ONE,
        set_feature,
        "Switch and set a feature, or add one",
        _TAG,
        {200: FeatureView},
        action="features.update",
        body=FeatureGiven,
        problems=(STALE, IF_MATCH),
        of_tenants=True,
    ),
    Route(
        "DELETE",
        _ONE,
        reset_feature,
        "Set a feature back to what the program ships",
        _TAG,
        {204: None},
        action="features.delete",
        needs_if_match=True,
        of_tenants=True,
    ),
)
