"""Lists read what they show, by indexes of their own: what is one person's is not looked for among all of the owner's."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from tests.schema import new_database
from wtai.ai import memory_views_store
from wtai.conversation import views_store
from wtai.db.sqlite import connect


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (views_store._MESSAGES_OF_ALL, "messages_by_owner (owner_id=? AND id>? AND id<?)"),
        (views_store._MESSAGES_OF_ONE, "messages_by_conversation (conversation_id=? AND id<?)"),
        (memory_views_store._OF_ANYBODY, "memories_by_owner (owner_id=? AND observed_at<?)"),
        (memory_views_store._OF_PERSON, "sqlite_autoindex_memories_3 (owner_id=? AND user_id=?)"),
    ],
)
def test_a_list_is_found_by_its_own_index(data_dir: Path, statement: str, index: str) -> None:
    new_database(data_dir / "wtai.db")
    with closing(connect(data_dir / "wtai.db")) as connection:
        parameters = dict.fromkeys(re.findall(r":(\w+)", statement), 1)
        plan = [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()]
    assert f"SEARCH m USING INDEX {index}" in plan
