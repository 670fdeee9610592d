"""What every page of the settings has around it: the way to the others, by role, and word of what was just done."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from wtai.web.console.page import ROOT, Visit

PLACE: Final = f"{ROOT}/settings"
PEOPLE: Final = f"{ROOT}/people"


@dataclass(frozen=True, slots=True)
class Entry:
    """A page that the visitor may see."""

    path: str
    icon: str
    title: str
    about: str


@dataclass(frozen=True, slots=True)
class Group:
    """Pages that belong together."""

    title: str
    entries: tuple[Entry, ...]


def groups(visit: Visit) -> list[Group]:
    """The pages of the settings that the visitor's role has, in the order in which they are shown."""
    everything = [
        (visit.text("Day to day"), _daily(visit)),
        (visit.text("Artificial intelligence"), _intelligence(visit)),
        (visit.text("Conversations"), _conversations(visit)),
        (visit.text("Connections"), _connections(visit)),
        (visit.text("Business"), _business(visit)),
    ]
    found = [Group(title, tuple(entry for entry, action in entries if visit.may(action))) for title, entries in everything]
    return [group for group in found if group.entries]


def show(visit: Visit, template: str, here: str, *, status: int = 200, **context: object) -> web.Response:
    """A page of the settings; ``here`` is the path of its entry in the navigation."""
    return visit.page(f"settings/{template}", status=status, **around(visit, here, status), **context)


def around(visit: Visit, here: str, status: int) -> dict[str, object]:
    """What ``settings/frame.html`` shows around a page."""
    done = _done(visit).get(visit.request.query.get("done", "")) if status == 200 else None
    return {"section": "settings", "here": here, "groups": groups(visit), "done": done}


def over(visit: Visit, path: str, done: str) -> web.Response:
    """Go on to a page that says what was done; ``done`` is one of the words below."""
    return visit.go(f"{path}?done={done}")


def _done(visit: Visit) -> dict[str, str]:
    return {
        "saved": visit.text("Saved."),
        "added": visit.text("Added."),
        "deleted": visit.text("Deleted."),
        "restored": visit.text("Restored."),
        "reset": visit.text("Set back to what the program ships."),
        "connected": visit.text("Connected."),
        "disconnected": visit.text("Disconnected."),
        "ended": visit.text("Ended."),
        "revoked": visit.text("Revoked."),
        "on": visit.text("Switched on."),
        "off": visit.text("Switched off."),
        "password": visit.text("Your password is changed. All other sessions are over."),
        "retried": visit.text("It runs again."),
        "discarded": visit.text("Discarded."),
        "replayed": visit.text("It is being delivered again."),
        "forgotten": visit.text("Forgotten."),
    }


def _daily(visit: Visit) -> list[tuple[Entry, str]]:
    account = visit.text("Password and open sessions")
    people = visit.text("Who writes to you: memories, export, erasure")
    canned = visit.text("Answers your team gives often")
    labels = visit.text("To sort conversations, and find them again")
    templates = visit.text("What may be sent once the 24 hours are over")
    return [
        (Entry(f"{PLACE}/account", "user", visit.text("My account"), account), "me.read"),
        (Entry(PEOPLE, "contact", visit.text("People"), people), "end_users.read"),
        (Entry(f"{PLACE}/canned", "spark", visit.text("Canned replies"), canned), "conversations.read"),
        (Entry(f"{ROOT}/labels", "tag", visit.text("Labels"), labels), "conversations.read"),
        (Entry(f"{PLACE}/templates", "template", visit.text("Templates"), templates), "templates.read"),
    ]


def _intelligence(visit: Visit) -> list[tuple[Entry, str]]:
    specialists = visit.text("What the AI does, with its prompts and their history")
    tools = visit.text("What specialists may call at an address of yours")
    return [
        (Entry(f"{PLACE}/features", "bot", visit.text("Features and prompts"), specialists), "features.update"),
        (Entry(f"{PLACE}/tools", "zap", visit.text("HTTP tools"), tools), "http_tools.read"),
    ]


def _conversations(visit: Visit) -> list[tuple[Entry, str]]:
    texts = visit.text("Farewell, handoff, outside opening hours")
    hours = visit.text("When your team is there")
    pace = visit.text("Pauses, time-outs, when a person is called")
    closing = visit.text("Your own words of goodbye, and how sure to be")
    return [
        (Entry(f"{PLACE}/texts", "note", visit.text("Texts"), texts), "owners.update"),
        (Entry(f"{PLACE}/hours", "calendar", visit.text("Business hours"), hours), "owners.update"),
        (Entry(f"{PLACE}/pace", "clock", visit.text("Pace and handoff"), pace), "owners.update"),
        (Entry(f"{PLACE}/closing", "door", visit.text("Closing"), closing), "owners.update"),
    ]


def _connections(visit: Visit) -> list[tuple[Entry, str]]:
    numbers = visit.text("Twilio accounts and their numbers")
    hooks = visit.text("Which of your systems are told what happens")
    tokens = visit.text("Access for programs of yours")
    return [
        (Entry(f"{PLACE}/numbers", "phone", visit.text("Numbers"), numbers), "channel_accounts.read"),
        (Entry(f"{PLACE}/webhooks", "webhook", visit.text("Webhooks"), hooks), "webhook_endpoints.read"),
        (Entry(f"{PLACE}/tokens", "key", visit.text("API tokens"), tokens), "api_tokens.read"),
    ]


def _business(visit: Visit) -> list[tuple[Entry, str]]:
    business = visit.text("Name and language")
    team = visit.text("Who may log in, and as what")
    usage = visit.text("Plan, limits and budgets")
    audit = visit.text("Who did what, and when")
    jobs = visit.text("Work that failed for good")
    return [
        (Entry(f"{PLACE}/business", "flag", visit.text("Business"), business), "owners.update"),
        (Entry(f"{PLACE}/team", "users", visit.text("Team"), team), "users.create"),
        (Entry(f"{PLACE}/usage", "coins", visit.text("Usage and plan"), usage), "usage.read"),
        (Entry(f"{PLACE}/audit", "history", visit.text("Audit log"), audit), "audit.read"),
        (Entry(f"{PLACE}/jobs", "queue", visit.text("Failed jobs"), jobs), "jobs.read"),
    ]
