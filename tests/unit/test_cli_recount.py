"""``wtai db recount``."""

from contextlib import closing
from pathlib import Path

from tests.program import open_world
from wtai.db.sqlite import connect


async def test_the_figures_are_forgotten_so_that_the_service_counts_them_anew(data_dir: Path) -> None:
    async with open_world(data_dir) as world:
        with closing(connect(data_dir / "wtai.db")) as connection:
            connection.execute("INSERT INTO rollups VALUES (1, 'day', '2026-11-29', 'messages', 'user', '', 3)")
            connection.execute("INSERT INTO rollup_positions VALUES (0, 'messages', 3)")
            connection.commit()
        world.command("db", "recount")
        assert world.rows("SELECT * FROM rollups") == world.rows("SELECT * FROM rollup_positions") == []
