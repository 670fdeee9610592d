"""A database with the program's schema for each test, copied from one that is made once: migrating takes a fifth of a second."""

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from wtai.db.migrate import migrate


def new_database(path: Path) -> None:
    """An empty database with the newest schema at ``path``, whose folder is made if it is absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_template(), path)


@cache
def _template() -> Path:
    """Nobody opens it again once it is made: of a file that SQLite has open no copy could be trusted."""
    path = Path(mkdtemp(prefix="wtai-schema-")) / "wtai.db"
    migrate(path)
    return path
