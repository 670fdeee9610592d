"""A person gets everything that is kept of them, readable, and nothing of anybody else and nothing secret."""

import json
import zipfile
from pathlib import Path

import pytest

from tests.store.privacy import Place, Somebody, open_place
from wtai.errors import EnvironmentProblem, NotFound
from wtai.privacy.export import Export, export
from wtai.privacy.tables_store import TABLES

ANA, BIA, CAIO, DAVI = "Anazanzibar", "Biazanzibar", "Caiozanzibar", "Davizanzibar"


async def exported(place: Place, of: Somebody, target: Path, *, whole_owner: bool = False) -> Export:
    public = None if whole_owner else of.public_id
    return await export(place.database, of.owner_id, public, owner=of.owner, media=place.media, target=target, clock=place.clock)


def everything(target: Path) -> dict[str, str]:
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


async def test_a_person_gets_their_rows_of_every_table_and_their_files(data_dir: Path, tmp_path: Path) -> None:
    async with open_place(data_dir) as place:
        owner = await place.owner("padaria")
        ana, bia = await place.person(owner, ANA), await place.person(owner, BIA)
        davi = await place.staff(owner, DAVI, works_on=ana)
        done = await exported(place, ana, tmp_path / "ana.zip")
        found = everything(tmp_path / "ana.zip")
        about = {table.name for table in TABLES if table.of_person and table.exported}
        assert {f"{name}.jsonl" for name in about - {"sessions", "api_tokens"}} <= set(found)
        lines = {
            name: [json.loads(line) for line in text.splitlines()] for name, text in found.items() if name.endswith(".jsonl")
        }
        assert {name.removesuffix(".jsonl"): len(rows) for name, rows in lines.items()} == done.rows
        files = [found[row["file"]] for row in lines["media.jsonl"]]
        assert sorted(files) == [f"{ANA} file", "everybody's file"]
        assert lines["messages.jsonl"][0]["created_at"] == "2027-01-15T08:00:00.000+00:00"
        assert lines["ai_results.jsonl"][0]["exchange"] == [ANA]
        assert "PORTUGUÊS" in found["README.txt"]
        assert "ENGLISH" in found["README.txt"]
        everywhere = "\n".join([*found, *found.values()])
        for stranger in (BIA, bia.public_id, DAVI, davi.public_id):
            assert stranger not in everywhere


async def test_staff_gets_their_own_and_no_secret(data_dir: Path, tmp_path: Path) -> None:
    async with open_place(data_dir) as place:
        owner = await place.owner("padaria")
        ana = await place.person(owner, ANA)
        davi = await place.staff(owner, DAVI, works_on=ana)
        await exported(place, davi, tmp_path / "davi.zip")
        found = everything(tmp_path / "davi.zip")
        assert {"users.jsonl", "sessions.jsonl", "api_tokens.jsonl", "audit_log.jsonl", "README.txt"} == set(found)
        assert "password_hash" not in found["users.jsonl"]
        assert f"{DAVI} hash" not in found["api_tokens.jsonl"]
        assert ANA not in "\n".join(found.values())


async def test_an_owner_gets_all_of_its_people_and_none_of_another_owner(data_dir: Path, tmp_path: Path) -> None:
    async with open_place(data_dir) as place:
        first, second = await place.owner("padaria"), await place.owner("oficina")
        ana, _, caio = await place.person(first, ANA), await place.person(first, BIA), await place.person(second, CAIO)
        await place.staff(first, DAVI, works_on=ana)
        await exported(place, ana, tmp_path / "all.zip", whole_owner=True)
        found = everything(tmp_path / "all.zip")
        everywhere = "\n".join(found.values())
        assert all(word in everywhere for word in (ANA, BIA, DAVI, "padaria"))
        for foreign in (CAIO, "oficina", caio.public_id, caio.owner):
            assert foreign not in everywhere
        shown = {name.removesuffix(".jsonl") for name in found if name.endswith(".jsonl")}
        assert shown == {table.name for table in TABLES if table.exported} | {"owners", "audit_log"}
        for secret in ("tokens", "secret", "secrets", "hash", "password_hash"):
            assert f'"{secret}"' not in everywhere


async def test_many_rows_are_written_page_by_page(data_dir: Path, tmp_path: Path) -> None:
    async with open_place(data_dir) as place:
        owner = await place.owner("padaria")
        ana = await place.person(owner, ANA)
        sql = """
            INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, status, body, provider_sid, created_at,
                updated_at)
            SELECT owner_id, public_id || :n, conversation_id, direction, author, status, :n, provider_sid || :n, 0, 0
            FROM messages WHERE owner_id = :owner ORDER BY id LIMIT 1
            """
        await place.database.write(ana.owner_id, lambda tx: [tx.run(sql, n=str(number)) for number in range(1200)])
        done = await exported(place, ana, tmp_path / "ana.zip")
        bodies = [json.loads(line)["body"] for line in everything(tmp_path / "ana.zip")["messages.jsonl"].splitlines()]
        assert (done.rows["messages"], len(set(bodies))) == (1202, 1202)


async def test_an_export_overwrites_nothing_and_is_for_its_owner_alone(data_dir: Path, tmp_path: Path) -> None:
    async with open_place(data_dir) as place:
        first, second = await place.owner("padaria"), await place.owner("oficina")
        ana, caio = await place.person(first, ANA), await place.person(second, CAIO)
        (tmp_path / "there.zip").write_text("mine")
        with pytest.raises(EnvironmentProblem, match="--output"):
            await exported(place, ana, tmp_path / "there.zip")
        assert (tmp_path / "there.zip").read_text() == "mine"
        with pytest.raises(NotFound):
            await export(
                place.database, ana.owner_id, caio.public_id, owner=ana.owner, media=place.media,
                target=tmp_path / "x.zip", clock=place.clock,
            )  # fmt: skip
        assert not (tmp_path / "x.zip").exists()
        await exported(place, ana, tmp_path / "ana.zip")
        assert (tmp_path / "ana.zip").stat().st_mode & 0o777 == 0o600
