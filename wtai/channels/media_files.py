"""The directory of attachments: ``<owner>/<first two of the SHA-256>/<SHA-256>``, and ``incoming/`` for what is on its way."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

_PRIVATE: Final = 0o700
_INCOMING: Final = "incoming"


class MediaFiles:
    """Files by owner and content: the same content is there once, however many attachments have it. All of it blocks."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def prepare(self) -> None:
        """Create the directory, readable by its user alone, and throw away what an earlier process left half fetched."""
        incoming = self._directory / _INCOMING
        self._directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        incoming.mkdir(mode=_PRIVATE, exist_ok=True)
        for left in incoming.iterdir():
            left.unlink()

    def has(self, path: str) -> bool:
        """Whether a kept file is still there."""
        return (self._directory / path).is_file()

    def read(self, path: str) -> bytes:
        """A kept file. OSError if it is gone."""
        return (self._directory / path).read_bytes()

    @contextmanager
    def incoming(self) -> Iterator["IncomingFile"]:
        """A file to write to; what was not kept at the end of the block is thrown away."""
        descriptor, name = tempfile.mkstemp(dir=self._directory / _INCOMING)
        with os.fdopen(descriptor, "wb") as file:
            try:
                yield IncomingFile(self._directory, Path(name), file)
            finally:
                with suppress(FileNotFoundError):
                    Path(name).unlink()


class IncomingFile:
    """A file on its way in; ``size`` in bytes and ``sha256`` are those of what was written so far."""

    def __init__(self, directory: Path, place: Path, file: BinaryIO) -> None:
        self.size = 0
        self._directory = directory
        self._place = place
        self._file = file
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, piece: bytes) -> None:
        """Add to the file."""
        self._file.write(piece)
        self._hash.update(piece)
        self.size += len(piece)

    def keep(self, owner: str) -> str:
        """Put the file in its place, on disk before this returns: the path in the directory. ``owner`` is the public id."""
        path = Path(owner, self.sha256[:2], self.sha256)
        target = self._directory / path
        self._file.flush()
        os.fsync(self._file.fileno())
        target.parent.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        self._place.replace(target)
        for folder in (target.parent, target.parent.parent, self._directory):
            _sync(folder)
        return path.as_posix()


def _sync(folder: Path) -> None:
    """A name in a folder survives a power cut once the folder itself is on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
