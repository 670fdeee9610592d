"""Back-ups: zip files of a consistent copy of the database and of the media directory, each whole or not there.

A back-up is written beside its final name, checked as a restore would, synced, and only then renamed: what has a back-up's name
is one. ``manifest.json`` inside names the schema and the SHA-256 of every other member.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from wtai.clock import SECOND
from wtai.db.check import damage
from wtai.db.migrate import migrations
from wtai.db.sqlite import connect
from wtai.errors import EnvironmentProblem, SchemaError, WtaiError
from wtai.failpoints import failpoint

DATABASE: Final = "wtai.db"
MEDIA: Final = "media/"
_MANIFEST: Final = "manifest.json"
_CHUNK: Final = 1 << 20
_PATTERN: Final = "wtai-*.zip"
_PARTIAL: Final = ".partial-"


class BackupBroken(WtaiError):
    """This is no whole back-up."""


class Manifest(BaseModel):
    """What is in a back-up: ``members`` by name with their SHA-256. ``created_at`` in ms since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    schema_version: int
    created_at: int
    with_media: bool
    members: dict[str, str]


@dataclass(frozen=True, slots=True)
class Backup:
    """A file with a back-up's name; ``manifest`` is None if it cannot be read. ``size`` in bytes."""

    path: Path
    size: int
    manifest: Manifest | None


@contextmanager
def one_at_a_time(directory: Path) -> Iterator[None]:
    """Keep other back-ups out of the directory, which is made, and throw away what a killed one left. EnvironmentProblem."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (directory / ".lock").open("a")
    except OSError as exc:
        raise EnvironmentProblem(f"cannot write {directory}: {exc.strerror}; make it writable, or set backup.directory") from exc
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise EnvironmentProblem(f"another back-up to {directory} is at work; wait for its end") from exc
        for left in directory.glob(f"{_PARTIAL}*"):
            shutil.rmtree(left)
        yield


@contextmanager
def workplace(directory: Path) -> Iterator[Path]:
    """A folder inside ``directory``, for its user alone, for what is not a back-up yet; it goes at the end."""
    folder = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=directory))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pack(folder: Path, directory: Path, media: Path | None, *, now: int) -> Backup:
    """Make a back-up of the copy ``wtai.db`` in ``folder`` and of the files under ``media`` (None: without them).

    BackupBroken if the copy does not pass its checks; EnvironmentProblem if there is no room. Blocks.
    """
    version = check_database(folder / DATABASE)
    # It is unpacked where a database has no log; closing the check has emptied it.
    files = {DATABASE: folder / DATABASE} | _media_files(media)
    packed = folder / "backup.zip"
    try:
        manifest = _write(packed, files, version, with_media=media is not None, now=now)
        verify(packed, folder)
    except OSError as exc:
        raise EnvironmentProblem(f"cannot write the back-up to {directory}: {exc.strerror}; make room there") from exc
    _sync(packed)
    failpoint("backup.before_commit")
    stamp = datetime.fromtimestamp(now / SECOND, UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    target = directory / f"wtai-{stamp}.zip"
    packed.replace(target)
    _sync(directory)
    failpoint("backup.after_commit")
    return Backup(target, target.stat().st_size, manifest)


def found(directory: Path) -> list[Backup]:
    """The back-ups of a directory, oldest first."""
    return [Backup(path, path.stat().st_size, _manifest_of(path)) for path in sorted(directory.glob(_PATTERN))]


def prune(directory: Path, keep: int) -> list[Path]:
    """Remove all but the newest ``keep`` whole back-ups, and what is older than them; returns what went."""
    whole = [backup.path for backup in found(directory) if backup.manifest is not None]
    if len(whole) <= keep:
        return []
    oldest_kept = whole[-keep]
    gone = [path for path in sorted(directory.glob(_PATTERN)) if path.name < oldest_kept.name]
    for path in gone:
        path.unlink()
    _sync(directory)
    return gone


def verify(path: Path, scratch: Path) -> Manifest:
    """Check every byte of a back-up, as a restore does; ``scratch`` is a folder to unpack in. BackupBroken, SchemaError."""
    with workplace(scratch) as folder:
        return unpack(path, folder)


def unpack(path: Path, folder: Path) -> Manifest:
    """Unpack a back-up into an empty folder and check it: ``wtai.db``, ``media/`` if it has any. BackupBroken, SchemaError."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _read_manifest(archive)
            names = sorted(name for name in archive.namelist() if name != _MANIFEST)
            if names != sorted(manifest.members):
                raise BackupBroken(f"{path} has other files than its manifest names")
            for name, expected in manifest.members.items():
                with archive.open(name) as packed:
                    if _unpack_one(packed, _inside(folder, name)) != expected:
                        raise BackupBroken(f"{path}: {name} is not what was backed up")
    except (OSError, zipfile.BadZipFile, zlib.error, ValidationError, KeyError, EOFError) as exc:
        raise BackupBroken(f"{path} is no whole back-up of wtai: {exc}") from exc
    newest = migrations()[-1].number
    if manifest.schema_version > newest:
        raise SchemaError(f"{path} has schema {manifest.schema_version}, this program knows {newest}: use the newer wtai")
    if check_database(folder / DATABASE) != manifest.schema_version:
        raise BackupBroken(f"{path}: the database has another schema than the manifest says")
    return manifest


def check_database(path: Path) -> int:
    """The schema's version of a database that nobody uses, after a full check. BackupBroken."""
    found = damage(path)
    if found:
        raise BackupBroken(f"{path} is damaged: {'; '.join(found)}")
    with closing(connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _write(path: Path, files: dict[str, Path], version: int, *, with_media: bool, now: int) -> Manifest:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as raw, zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        members = {name: digest for name, file in files.items() if (digest := _add(archive, name, file)) is not None}
        manifest = Manifest(schema_version=version, created_at=now, with_media=with_media, members=members)
        archive.writestr(_MANIFEST, manifest.model_dump_json(indent=1))
    return manifest


def _add(archive: zipfile.ZipFile, name: str, file: Path) -> str | None:
    """Pack one file in pieces; its SHA-256, None if it has gone since it was seen."""
    try:
        source = file.open("rb")
    except FileNotFoundError:
        return None
    digest = hashlib.sha256()
    with source, archive.open(name, "w", force_zip64=True) as packed:
        while piece := source.read(_CHUNK):
            digest.update(piece)
            packed.write(piece)
    return digest.hexdigest()


def _unpack_one(packed: IO[bytes], target: Path) -> str:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while piece := packed.read(_CHUNK):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(descriptor)
    return digest.hexdigest()


def _inside(folder: Path, name: str) -> Path:
    """Where a member goes. BackupBroken if that is outside of the folder, or what a back-up never has."""
    if name != DATABASE and not name.startswith(MEDIA):
        raise BackupBroken(f"a back-up has no member {name!r}")
    target = (folder / name).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise BackupBroken(f"the member {name!r} leads outside")
    return target


def _media_files(media: Path | None) -> dict[str, Path]:
    """What is kept of attachments, by its name in a back-up; what is on its way in (incoming/) is not kept yet."""
    if media is None or not media.is_dir():
        return {}
    paths = sorted(path for path in media.rglob("*") if path.is_file() and path.relative_to(media).parts[0] != "incoming")
    return {f"{MEDIA}{path.relative_to(media).as_posix()}": path for path in paths}


def _manifest_of(path: Path) -> Manifest | None:
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_manifest(archive)
    except (OSError, zipfile.BadZipFile, zlib.error, ValidationError, KeyError, EOFError):
        return None


def _read_manifest(archive: zipfile.ZipFile) -> Manifest:
    return Manifest.model_validate_json(archive.read(_MANIFEST))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
