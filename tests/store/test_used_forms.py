"""A form that comes again does nothing again, and is not remembered for ever."""

from pathlib import Path

from tests.store.privacy import open_place
from wtai.conversation.drafts_store import is_used, use_form


async def test_a_form_is_used_once_by_each_owner_and_forgotten_later(data_dir: Path) -> None:
    async with open_place(data_dir) as place:
        (one, _), (two, _) = await place.owner("padaria"), await place.owner("oficina")
        write = place.database.write
        assert await write(one, use_form, "a", forget_before=0, now=100)
        assert not await write(one, use_form, "a", forget_before=0, now=101)
        assert await write(two, use_form, "a", forget_before=0, now=102)
        assert await place.database.read(one, is_used, "a")
        for number in range(30):
            await write(one, use_form, f"old {number}", forget_before=0, now=200)
        assert await write(one, use_form, "b", forget_before=300, now=400)
        assert await write(one, use_form, "c", forget_before=300, now=401)
        left = {row["token"] for row in place.rows("SELECT token FROM used_forms WHERE owner_id = :one", one=one)}
        assert {"b", "c"} <= left
        assert not any(token.startswith("old") for token in left)
        assert await place.database.read(two, is_used, "a")
