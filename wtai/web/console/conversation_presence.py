"""Which colleagues have a conversation open, and who of them is writing. Nothing of it is kept: who is silent is gone."""

from dataclasses import dataclass
from typing import Final

from wtai.clock import SECOND

BEAT_SECONDS: Final = 10
_GONE_MS: Final = 25 * SECOND
_WRITES_MS: Final = 6 * SECOND


@dataclass(frozen=True, slots=True)
class Seen:
    """A colleague, as last heard of; times in ms."""

    name: str
    at: int
    wrote_at: int

    def is_here(self, now: int) -> bool:
        """Whether they still have it open."""
        return now - self.at < _GONE_MS

    def writes(self, now: int) -> bool:
        """Whether they are writing."""
        return now - self.wrote_at < _WRITES_MS


class Presence:
    """Who is where, in this process's memory."""

    def __init__(self) -> None:
        self._rooms: dict[tuple[int, str], dict[str, Seen]] = {}

    def beat(self, owner_id: int, conversation: str, user: str, name: str, *, writes: bool, now: int) -> bool:
        """Somebody is there; ``writes``: and writing. True if that is news to the others."""
        self._forget(now)
        room = self._rooms.setdefault((owner_id, conversation), {})
        before = room.get(user)
        room[user] = Seen(name, now, now if writes else (before.wrote_at if before else now - _WRITES_MS))
        return before is None or not before.is_here(now) or (writes and not before.writes(now))

    def leave(self, owner_id: int, conversation: str, user: str) -> None:
        """Somebody has gone."""
        self._rooms.get((owner_id, conversation), {}).pop(user, None)

    def others(self, owner_id: int, conversation: str, user: str, *, now: int) -> list[Seen]:
        """Everybody else who is there, by name."""
        room = self._rooms.get((owner_id, conversation), {})
        return sorted((seen for of, seen in room.items() if of != user and seen.is_here(now)), key=lambda seen: seen.name)

    def _forget(self, now: int) -> None:
        for key in [key for key, room in self._rooms.items() if not any(seen.is_here(now) for seen in room.values())]:
            del self._rooms[key]
