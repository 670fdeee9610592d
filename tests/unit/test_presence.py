"""Who is silent is gone, and nothing is kept of them."""

from wtai.web.console.conversation_presence import Presence


def test_a_colleague_is_there_while_they_are_heard_of_and_writes_while_they_write() -> None:
    presence = Presence()

    def others(now: int, *, user: str = "bia", owner: int = 1) -> list[tuple[str, bool]]:
        return [(seen.name, seen.writes(now)) for seen in presence.others(owner, "cnv_1", user, now=now)]

    assert presence.beat(1, "cnv_1", "ana", "Ana", writes=False, now=100_000)
    assert others(100_000) == [("Ana", False)]
    assert others(100_000, user="ana") == []
    assert others(100_000, owner=2) == [], "another owner's conversation, even of the same id"
    assert not presence.beat(1, "cnv_1", "ana", "Ana", writes=False, now=110_000)
    assert presence.beat(1, "cnv_1", "ana", "Ana", writes=True, now=111_000), "that they write is news"
    assert not presence.beat(1, "cnv_1", "ana", "Ana", writes=True, now=112_000)
    assert others(112_000) == [("Ana", True)]
    assert others(119_000) == [("Ana", False)]
    assert others(137_000) == []
    assert presence.beat(1, "cnv_2", "bia", "Bia", writes=False, now=140_000)
    assert presence.beat(1, "cnv_1", "ana", "Ana", writes=False, now=141_000), "that they are back is news"
    presence.leave(1, "cnv_1", "ana")
    presence.leave(1, "cnv_absent", "ana")
    assert others(141_000) == []
