"""One process serves a database: the lock that says so."""

import fcntl
import os
from pathlib import Path
from types import TracebackType

from wtai.errors import AlreadyRunning, EnvironmentProblem


class InstanceLock:
    """Advisory locks on ``<database>.<role>.lock``, held from ``with`` to the end of the process, however it ends: one process
    takes messages, one works; role ``all`` does both.

    A file of its own: opening and closing the database file would drop SQLite's locks on it (sqlite.org/howtocorrupt §2.2.1).
    AlreadyRunning if another process holds it.
    """

    def __init__(self, database: Path, role: str) -> None:
        self._database = database
        self._roles = ("web", "worker") if role == "all" else (role,)
        self._descriptors: list[int] = []

    def __enter__(self) -> "InstanceLock":
        for role in self._roles:
            self._take(role)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _take(self, role: str) -> None:
        path = self._database.with_name(f"{self._database.name}.{role}.lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise EnvironmentProblem(f"cannot write {path}: {exc.strerror}; make the data directory writable") from exc
        self._descriptors.append(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            self.__exit__(None, None, None)
            raise AlreadyRunning(
                f"another wtai (process {holder}) already serves {self._database}; stop it first, or use another --data-dir"
            ) from None
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
