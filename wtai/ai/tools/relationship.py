"""The relationship specialist: the people in a user's life, their birthdays, what was noted about them; and reminders."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from wtai.ai.features import FeatureConfig
from wtai.ai.tools import relationship_store as store
from wtai.ai.tools.birthdays import Birthday, read_birthday
from wtai.ai.tools.dates import local_today, resolve_date
from wtai.ai.tools.fold import fold
from wtai.ai.tools.relationship_claims import FORGOTTEN, SAVED
from wtai.ai.tools.relationship_store import Interaction, Kept
from wtai.ai.tools.reminders import reminder_tools
from wtai.ai.tools.tool import AnyTool, Arguments, Effect, Tool, ToolContext, ToolError
from wtai.db.tx import OwnerTx

_MOST_PEOPLE: Final = 500
_LISTED: Final = 100
_NOTES: Final = 20
_NAMED: Final = 5
_FORGET: Final = {
    "pt-BR": ("Apagar {name} e tudo o que anotei sobre essa pessoa ({notes})? Não dá para desfazer.", "anotação", "anotações"),
    "es": ("¿Borrar a {name} y todo lo que anoté sobre esa persona ({notes})? No se puede deshacer.", "nota", "notas"),
    "en": ("Delete {name} and everything I noted about them ({notes})? This cannot be undone.", "note", "notes"),
}

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]


class RelationshipConfig(FeatureConfig):
    """What an owner may set of the relationship specialist."""

    birthday_reminder_hour: int = Field(9, ge=0, le=23, description="Hour at which a reminder comes if only its day was said.")


class NewPerson(Arguments):
    """Somebody in the person's life. What is left out stays as it is."""

    name: Annotated[Name, Field(description="Name as the person says it. The same name is the same person.")]
    relation: Annotated[Line | None, Field(description='What they are to the person: "mãe", "cliente", "vizinho".')] = None
    birthday: Annotated[Line | None, Field(description="YYYY-MM-DD, or --MM-DD if the year is not known.")] = None


class Someone(Arguments):
    """One person."""

    name: Annotated[Name, Field(description="Name, or the part of it by which the person calls them.")]


class Exactly(Arguments):
    """One person, beyond doubt."""

    name: Annotated[Name, Field(description="The whole name as list_people gives it.")]


class Note(Arguments):
    """What is to be known of somebody."""

    name: Annotated[Name, Field(description="Whom it is about.")]
    text: Annotated[Text, Field(description="The note, in the person's words.")]
    kind: Annotated[Literal["note", "contact"], Field(description="contact: they met, called or wrote; note: anything else.")] = (
        "note"
    )
    date: Annotated[Line | None, Field(description='When it was, as YYYY-MM-DD or "ontem"; today if left out.')] = None


class Ahead(Arguments):
    """How far to look."""

    days: Annotated[int, Field(ge=0, le=366, description="Days from today.")] = 30


class All(Arguments):
    """Everybody."""


@dataclass(frozen=True, slots=True)
class NextBirthday:
    """A birthday, when it comes next (YYYY-MM-DD) and how old the person is then; ages are null if the year is not known."""

    birthday: str
    next: str
    days_until: int
    age: int | None
    turns: int | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A person as the model sees them."""

    name: str
    relation: str | None
    birthday: NextBirthday | None


@dataclass(frozen=True, slots=True)
class Saved:
    """What is kept of a person now; ``new`` unless they were known before."""

    person: Shown
    new: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """People; ``more`` if there are further ones."""

    people: tuple[Shown, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A person with what was noted, the newest first; ``more`` if there is older."""

    person: Shown
    notes: tuple[Interaction, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Noted:
    """What was noted about whom."""

    name: str
    noted: Interaction


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Who was deleted, with how many notes."""

    forgotten: str
    notes: int


def relationship_tools(config: RelationshipConfig) -> tuple[AnyTool, ...]:
    """The specialist's tools, with an owner's settings."""
    return (
        Tool(
            "save_person",
            "Saves somebody in the person's life, or what is new about them: relation, birthday. Sends nothing by itself.",
            NewPerson,
            work=_save,
            effect=Effect.REVERSIBLE,
            claims=SAVED,
        ),
        Tool("list_people", "Lists the people that were saved, by name.", All, work=_list),
        Tool("get_person", "Tells what is known of somebody: relation, birthday, age, notes, contacts.", Someone, work=_get),
        Tool(
            "add_note",
            "Notes something about a person that was saved, or a contact with them.",
            Note,
            work=_note,
            effect=Effect.REVERSIBLE,
            claims=SAVED,
        ),
        Tool("upcoming_birthdays", "Lists the birthdays of the next days, the nearest first.", Ahead, work=_upcoming),
        Tool(
            "forget_person",
            "Deletes a person with all notes. The person is asked first. Reminders stay: cancel them one by one.",
            Exactly,
            work=_forget,
            effect=Effect.IRREVERSIBLE,
            question=_ask_forget,
            claims=FORGOTTEN,
        ),
        *reminder_tools(default_hour=config.birthday_reminder_hour),
    )


def _save(tx: OwnerTx, context: ToolContext, asked: NewPerson) -> Saved:
    today, folded = local_today(context), fold(asked.name)
    birthday = read_birthday(asked.birthday, today) if asked.birthday else None
    known = store.person(tx, context.user_id, folded)
    if known is None and store.count_people(tx, context.user_id) >= _MOST_PEOPLE:
        raise ToolError(f"There are {_MOST_PEOPLE} people already, which is the most; forget somebody first.")
    kept = store.put_person(
        tx,
        context.user_id,
        asked.name,
        folded,
        relation=asked.relation,
        birthday=str(birthday) if birthday else None,
        now=context.now,
    )
    return Saved(_shown(kept, today), known is None)


def _list(tx: OwnerTx, context: ToolContext, _: All) -> Listed:
    found = store.people(tx, context.user_id)
    today = local_today(context)
    return Listed(tuple(_shown(kept, today) for kept in found[:_LISTED]), len(found) > _LISTED)


def _get(tx: OwnerTx, context: ToolContext, asked: Someone) -> Told:
    kept = _found(tx, context, asked.name)
    notes = store.interactions(tx, context.user_id, kept.id, limit=_NOTES + 1)
    return Told(_shown(kept, local_today(context)), tuple(notes[:_NOTES]), len(notes) > _NOTES)


def _note(tx: OwnerTx, context: ToolContext, asked: Note) -> Noted:
    kept, today = _found(tx, context, asked.name), local_today(context)
    day = resolve_date(asked.date, today) if asked.date else today
    if day > today:
        raise ToolError("A note is about what was; for what is to come use create_reminder, or leave out the date.")
    interaction = Interaction(asked.kind, asked.text, day.isoformat())
    store.insert_interaction(tx, context.user_id, kept.id, interaction, now=context.now)
    return Noted(kept.name, interaction)


def _upcoming(tx: OwnerTx, context: ToolContext, asked: Ahead) -> Listed:
    today = local_today(context)
    shown = [_shown(kept, today) for kept in store.people(tx, context.user_id)]
    near = [(person.birthday.days_until, person) for person in shown if person.birthday is not None]
    found = [person for days, person in sorted(near, key=lambda one: one[0]) if days <= asked.days]
    return Listed(tuple(found[:_LISTED]), len(found) > _LISTED)


def _forget(tx: OwnerTx, context: ToolContext, asked: Exactly) -> Forgotten:
    kept = _exactly(tx, context, asked.name)
    notes = store.count_interactions(tx, context.user_id, kept.id)
    store.delete_person(tx, context.user_id, kept.id)
    return Forgotten(kept.name, notes)


def _ask_forget(tx: OwnerTx, context: ToolContext, asked: Exactly) -> str:
    kept = _exactly(tx, context, asked.name)
    count = store.count_interactions(tx, context.user_id, kept.id)
    question, one, many = _FORGET[context.locale]
    name = f"{kept.name} ({kept.relation})" if kept.relation else kept.name
    return question.format(name=name, notes=f"{count} {one if count == 1 else many}")


def _exactly(tx: OwnerTx, context: ToolContext, name: str) -> Kept:
    """The person of this whole name: what the question named stays the same until the answer. ToolError."""
    kept = store.person(tx, context.user_id, fold(name))
    if kept is None:
        raise _nobody(_alike(tx, context, name))
    return kept


def _found(tx: OwnerTx, context: ToolContext, name: str) -> Kept:
    """The person of this name, or the only one whose name has these words. ToolError names those who may be meant."""
    kept = store.person(tx, context.user_id, fold(name))
    if kept is not None:
        return kept
    alike = _alike(tx, context, name)
    if len(alike) != 1:
        raise _nobody(alike)
    return alike[0]


def _alike(tx: OwnerTx, context: ToolContext, name: str) -> list[Kept]:
    words = set(fold(name).split())
    return [kept for kept in store.people(tx, context.user_id) if words <= set(fold(kept.name).split())]


def _nobody(alike: list[Kept]) -> ToolError:
    if alike:
        names = ", ".join(repr(kept.name) for kept in alike[:_NAMED])
        return ToolError(f"Nobody has exactly this name; it may be {names}. Ask which one, and give the whole name.")
    return ToolError("Nobody of this name was saved; list_people tells who was, save_person saves somebody new.")


def _shown(kept: Kept, today: date) -> Shown:
    return Shown(kept.name, kept.relation, _next(Birthday.of(kept.birthday), today) if kept.birthday else None)


def _next(birthday: Birthday, today: date) -> NextBirthday:
    day = birthday.next_after(today)
    return NextBirthday(str(birthday), day.isoformat(), (day - today).days, birthday.age_on(today), birthday.age_on(day))
