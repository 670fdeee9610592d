"""What is kept of a person, or of an owner, as a zip that people and programs can read: JSON Lines per table, files, a README."""

import asyncio
import json
import os
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from wtai.clock import SECOND, Clock
from wtai.db.tx import Database
from wtai.errors import EnvironmentProblem
from wtai.identity.users_store import user_of_public_id
from wtai.privacy.export_store import Exported, acts, own_row, page
from wtai.privacy.tables_store import TABLES, Table

_CHUNK: Final = 1 << 20
_UNSAFE: Final = re.compile(r"[^\w.\-]+")

_README: Final = """Exportação de dados / Data export
=================================

Feita em / made at {at}
De / of: {subject}

PORTUGUÊS
Este arquivo contém o que está guardado sobre a pessoa (ou a empresa) acima.
- Cada arquivo .jsonl é uma tabela: uma linha por registro, em JSON, UTF-8. Datas e horas estão em UTC (ISO 8601).
- A pasta media/ contém os arquivos enviados; media.jsonl diz a qual mensagem cada um pertence (campo "file").
- Valores em dinheiro de "amount" estão em centavos; "cost" está em milionésimos de dólar.
- Não estão incluídos: senhas, chaves e outros segredos, nem índices técnicos que são calculados a partir destes dados.

ENGLISH
This file holds what is kept about the person (or the company) above.
- Each .jsonl file is a table: one record a line, JSON, UTF-8. Dates and times are UTC (ISO 8601).
- The folder media/ holds the files that were sent; media.jsonl tells which message each belongs to (field "file").
- Money in "amount" is in cents; "cost" is in millionths of a US dollar.
- Not included: passwords, keys and other secrets, nor technical indexes that are computed from these data.

{tables}
"""


@dataclass(frozen=True, slots=True)
class Export:
    """What was written: rows by table, and files."""

    rows: dict[str, int]
    files: int


async def export(
    database: Database, owner_id: int, public: str | None, *, owner: str, media: Path, target: Path, clock: Clock
) -> Export:
    """Write what is kept of the person ``public``, or of the whole owner (None), to ``target``, page by page.

    ``owner`` is the owner's public id. NotFound. EnvironmentProblem if the target exists already or cannot be written; a half
    written one is removed.
    """
    user_id = (await database.read(owner_id, user_of_public_id, public)).id if public is not None else None
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise EnvironmentProblem(f"cannot write {target}: {exc.strerror}; name another file with --output") from exc
    whole = False
    try:
        with os.fdopen(descriptor, "wb") as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
            writer = _Writer(database, owner_id, user_id, public, media, archive)
            done = await writer.write()
            moment = datetime.fromtimestamp(clock.now() // SECOND, UTC).isoformat()
            tables = "\n".join(f"{name}.jsonl: {count}" for name, count in done.rows.items())
            archive.writestr("README.txt", _README.format(at=moment, subject=public or owner, tables=tables))
        whole = True
    finally:
        if not whole:
            target.unlink(missing_ok=True)  # noqa: ASYNC240 - one call, on the way out
    return done


class _Writer:
    """One export on its way into its archive."""

    def __init__(
        self, database: Database, owner_id: int, user_id: int | None, public: str | None, media: Path, archive: zipfile.ZipFile
    ) -> None:
        self._database = database
        self._owner_id = owner_id
        self._user_id = user_id
        self._public = public
        self._media = media
        self._archive = archive
        self._rows: dict[str, int] = {}
        self._files: dict[str, Path] = {}

    async def write(self) -> Export:
        """Every table, and then the files that the table of attachments names: an archive takes one member at a time."""
        if self._public is None:
            await self._write_rows("owners", [await self._database.read(self._owner_id, own_row)])
        for table in TABLES:
            if table.exported:
                await self._write_table(table)
        await self._write_rows("audit_log", await self._database.read(self._owner_id, acts, self._public))
        for name, source in self._files.items():
            await asyncio.to_thread(self._pack, name, source)
        return Export(self._rows, len(self._files))

    async def _write_table(self, table: Table) -> None:
        rows, after = await self._page(table, 0)
        if not rows:
            return
        with self._archive.open(f"{table.name}.jsonl", "w", force_zip64=True) as member:
            await asyncio.to_thread(self._put, member, table.name, rows)
            while after is not None:
                rows, after = await self._page(table, after)
                await asyncio.to_thread(self._put, member, table.name, rows)

    async def _write_rows(self, name: str, rows: Sequence[Exported]) -> None:
        if rows:
            with self._archive.open(f"{name}.jsonl", "w") as member:
                await asyncio.to_thread(self._put, member, name, rows)

    async def _page(self, table: Table, after: int) -> tuple[list[Exported], int | None]:
        rows, more = await self._database.read(self._owner_id, page, table, self._user_id, self._public or "", after)
        return ([self._with_file(row) for row in rows] if table.name == "media" else rows), more

    def _put(self, member: IO[bytes], name: str, rows: Sequence[Exported]) -> None:
        self._rows[name] = self._rows.get(name, 0) + len(rows)
        member.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())

    def _with_file(self, row: Exported) -> Exported:
        """The attachment's row, which names its file as it is called in the archive."""
        path = row.pop("path", None)
        if path is None or not (self._media / str(path)).is_file():
            return {**row, "file": None}
        name = f"media/{row['id']}-{_UNSAFE.sub('_', str(row.get('name') or 'file'))[:80]}"
        self._files[name] = self._media / str(path)
        return {**row, "file": name}

    def _pack(self, name: str, source: Path) -> None:
        with source.open("rb") as file, self._archive.open(name, "w", force_zip64=True) as packed:
            while piece := file.read(_CHUNK):
                packed.write(piece)
