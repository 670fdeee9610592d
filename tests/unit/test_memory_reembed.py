"""``wtai memory reembed``: what another model left behind is made findable by the one that the settings name."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from tests.store.memory import BASE, opened_house
from wtai.ai.memory.embedder import HashedEmbedder
from wtai.db.sqlite import connect
from wtai.identity.store import choose

ROOT = Path(__file__).resolve().parents[2]


def reembed(data_dir: Path, *arguments: str, embedder: str = "hashed") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wtai", "--data-dir", str(data_dir), "memory", "reembed", *arguments]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "WTAI_OPENAI__EMBEDDER": embedder,
        "WTAI_OPENAI__BASE_URL": "http://127.0.0.1:9/v1",
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


async def test_vectors_of_another_model_are_replaced_for_one_owner_or_for_all(data_dir: Path) -> None:
    path = data_dir / "wtai.db"
    async with opened_house(path) as house:
        for person in (house.ana, house.bia, house.caio):
            await house.keep_all(person, "Moro em Santos", "Tenho um gato")
        owner = house.rows(f"SELECT public_id FROM owners WHERE id = {house.ana.owner}")[0]["public_id"]
    with closing(connect(path)) as connection:
        connection.execute("UPDATE memory_vectors SET model = 'old-3', vector = x'010203'")

    one = reembed(data_dir, owner)
    assert (one.returncode, one.stdout) == (0, "4 memories\n"), one.stderr
    assert reembed(data_dir).stdout == "2 memories\n"
    assert reembed(data_dir).stdout == "0 memories\n"
    assert reembed(data_dir, "own_nobody").returncode == 1
    with closing(connect(path, read_only=True)) as connection:
        models = connection.execute("SELECT DISTINCT model FROM memory_vectors").fetchall()
    assert [row["model"] for row in models] == [HashedEmbedder().model]


async def test_people_whose_budget_has_no_room_are_left_and_named_by_their_owner(data_dir: Path) -> None:
    async with opened_house(data_dir / "wtai.db") as house:
        for person in (house.ana, house.bia):
            await house.keep(person, "Moro em Santos")
        await house.database.write(house.ana.owner, choose, BASE, '{"budget_user_day_usd": 0}')
        owner = house.rows(f"SELECT public_id FROM owners WHERE id = {house.ana.owner}")[0]["public_id"]
    done = reembed(data_dir, embedder="openai")
    assert (done.returncode, done.stdout) == (0, "0 memories\n"), done.stderr
    assert done.stderr.count(f"{owner}: ") == 2
    assert "budget_user_day_usd leaves too little" in done.stderr
