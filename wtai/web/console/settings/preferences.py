"""What an owner chooses for its conversations: each page takes some fields of Preferences; what is left blank is not chosen."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from pydantic import JsonValue

from wtai.conversation.texts import texts
from wtai.db.tx import OwnerTx
from wtai.identity import store
from wtai.identity.model import Owner
from wtai.identity.preferences import Preferences
from wtai.web.api.owners import OwnerChange
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import BLANK, Form, lines, read, sent, version_of
from wtai.web.console.settings.frame import PLACE, over, show

Choices = dict[str, JsonValue]
"""Fields of Preferences that an owner chose."""


@dataclass(frozen=True, slots=True)
class Part:
    """A page: the fields it takes as they are typed, the boxes to tick, and the fields that hold a thing a line."""

    name: str
    fields: tuple[str, ...] = ()
    boxes: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Where it is."""
        return f"{PLACE}/{self.name}"

    def choices(self, given: Mapping[str, str], base: Preferences) -> Choices:
        """What the form chooses; a box that is as the program has it chooses nothing."""
        found: Choices = {name: given[name].strip() for name in self.fields if given.get(name, "").strip()}
        found |= {name: name in given for name in self.boxes if (name in given) is not getattr(base, name)}
        found |= {name: list(kept) for name in self.lists if (kept := lines(given.get(name, "")))}
        return found

    def pages(self) -> tuple[Page, Page]:
        """To look at, and to save."""

        async def look(visit: Visit) -> web.StreamResponse:
            return await self._shown(visit, BLANK)

        async def save(visit: Visit) -> web.StreamResponse:
            async def work(given: Mapping[str, str]) -> web.Response:
                mine = (*self.fields, *self.boxes, *self.lists)
                await choose(visit, mine, self.choices(given, visit.means.base), version_of(given))
                return over(visit, self.path, "saved")

            return await sent(visit, work, lambda form: self._shown(visit, form))

        return Page("GET", self.path, look, "owners.update"), Page("POST", self.path, save, "owners.update")

    async def _shown(self, visit: Visit, form: Form) -> web.Response:
        owner, chosen = await visit.read(chosen_by)
        return show(
            visit,
            f"{self.name}.html",
            self.path,
            status=form.status,
            form=form,
            number=owner.version,
            chosen=chosen,
            base=visit.means.base,
            own=texts(owner.locale),
        )


async def choose(visit: Visit, names: tuple[str, ...], choices: Choices, version: int | None) -> None:
    """Take over what a form says of the fields ``names``; all others stay. ValidationError, StaleVersion."""

    def work(tx: OwnerTx) -> None:
        _, chosen = chosen_by(tx)
        wanted: Choices = {**{name: value for name, value in chosen.items() if name not in names}, **choices}
        # As merged() reads them: of the thresholds one may be chosen alone. Dumped again, so that numbers are kept as numbers.
        sound = Preferences.model_validate({"confirm_threshold": 0.0, "close_threshold": 1.0, **wanted})
        kept = sound.model_dump_json(include=set(wanted))
        store.choose(tx, visit.means.base, kept, version=version)

    await visit.audited("owners.update", visit.owner.public_id, work)


def chosen_by(tx: OwnerTx) -> tuple[Owner, Choices]:
    """The owner, and what it chose."""
    return store.owner(tx), json.loads(store.chosen_preferences(tx))


async def business(visit: Visit) -> web.StreamResponse:
    """Name and language."""
    return await _business(visit, BLANK)


async def change_business(visit: Visit) -> web.StreamResponse:
    """The language is that of what the program itself says, and of the prompts that come with it."""

    async def work(given: Mapping[str, str]) -> web.Response:
        said = read(OwnerChange, given)

        def write(tx: OwnerTx) -> Owner:
            before = store.owner(tx)
            name = before.name if said.name is None else said.name
            return store.rename_owner(tx, name, said.locale or before.locale, version=version_of(given))

        await visit.audited("owners.update", visit.owner.public_id, write)
        return over(visit, f"{PLACE}/business", "saved")

    return await sent(visit, work, lambda form: _business(visit, form))


async def _business(visit: Visit, form: Form) -> web.Response:
    owner, _ = await visit.read(chosen_by)
    return show(visit, "business.html", f"{PLACE}/business", status=form.status, form=form, kept=owner)


PARTS: Final = (
    Part("texts", fields=("farewell_text", "handoff_text", "away_text"), boxes=("farewell_on_timeout",)),
    Part(
        "pace",
        fields=("burst_quiet_ms", "idle_minutes", "expire_minutes", "handoff_after_failures"),
        boxes=("expires_in_handoff",),
    ),
    Part("closing", fields=("confirm_threshold", "close_threshold"), lists=("closing_keywords",)),
)

PAGES = (
    *(page for part in PARTS for page in part.pages()),
    Page("GET", f"{PLACE}/business", business, "owners.update"),
    Page("POST", f"{PLACE}/business", change_business, "owners.update"),
)
