"""Whether a database is whole: its pages and indexes, the words of the search, and what refers to what."""

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Final

from wtai.db.sqlite import connect, driver
from wtai.errors import EnvironmentProblem

_MOST: Final = 20


def damage(path: Path) -> list[str]:
    """What is damaged, in words; nothing if all is well. Reads every page, beside a running service too, and writes none."""
    try:
        with closing(connect(path, read_only=True)) as connection:
            found = [row[0] for row in connection.execute(f"PRAGMA integrity_check({_MOST})").fetchall()]
            orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
    except (driver.DatabaseError, EnvironmentProblem) as exc:
        return [f"cannot be read: {exc}"]
    counted = Counter((row["table"], row["parent"]) for row in orphans)
    lost = [f"{count} rows of {table} refer to rows of {parent} that are not there" for (table, parent), count in counted.items()]
    return [*(line for line in found if line != "ok"), *lost]
