"""One process serves a database: the lock that says so."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from wtai.errors import AlreadyRunning


class InstanceLock:
    """An advisory lock on ``<database>.lock``, held from ``with`` to the end of the process, however it ends.

    A file of its own: opening and closing the database file would drop SQLite's locks on it (sqlite.org/howtocorrupt §2.2.1).
    AlreadyRunning if another process holds it.
    """

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._descriptor: int | None = None

    def __enter__(self) -> "InstanceLock":
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise AlreadyRunning(
                f"another wtai (process {holder}) already serves {self._path.with_suffix('')}; "
                "stop it first, or use another --data-dir"
            ) from None
        os.truncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
