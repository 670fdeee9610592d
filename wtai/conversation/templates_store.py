"""SQL of an owner's approved templates, by what they are for and in which language."""

from wtai.db.tx import OwnerTx
from wtai.ids import public_id


def template_sid(tx: OwnerTx, name: str, locale: str) -> str | None:
    """The content SID of the template for ``name`` in this language; None if the owner has none."""
    row = tx.one(
        "SELECT content_sid FROM templates WHERE owner_id = :owner AND name = :name AND locale = :locale",
        name=name,
        locale=locale,
    )
    return str(row["content_sid"]) if row else None


def template_name(tx: OwnerTx, content_sid: str) -> str | None:
    """What the owner calls the template of this content SID; None if they do not keep it."""
    row = tx.one(
        "SELECT min(name) AS name FROM templates WHERE owner_id = :owner AND content_sid = :content_sid", content_sid=content_sid
    )
    return row["name"] if row else None


def set_template(tx: OwnerTx, name: str, locale: str, content_sid: str, *, now: int) -> None:
    """Take this template for ``name`` in this language, in place of the one before."""
    tx.run(
        """
        INSERT INTO templates (owner_id, public_id, name, locale, content_sid, created_at)
        VALUES (:owner, :public_id, :name, :locale, :content_sid, :now)
        ON CONFLICT (owner_id, name, locale) DO UPDATE SET content_sid = excluded.content_sid
        """,
        public_id=public_id("tpl"),
        name=name,
        locale=locale,
        content_sid=content_sid,
        now=now,
    )
