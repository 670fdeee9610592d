"""SQL of an owner's templates as people keep them."""

from dataclasses import dataclass
from typing import Final

from wtai.db.tx import OwnerTx
from wtai.errors import NotFound, StaleVersion, WtaiError
from wtai.ids import public_id

_TEMPLATE: Final = "SELECT id, public_id, name, locale, content_sid, version, created_at FROM templates"


class TemplateExists(WtaiError):
    """The owner has a template of this name and locale."""


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A template: what it is for, in which language, and the provider's id of it."""

    id: int
    public_id: str
    name: str
    locale: str
    content_sid: str
    version: int
    created_at: int


def template_rows(tx: OwnerTx, *, after: int = 0, limit: int) -> list[TemplateRow]:
    """The owner's templates, oldest first, with a key above ``after``."""
    rows = tx.all(f"{_TEMPLATE} WHERE owner_id = :owner AND id > :after ORDER BY id LIMIT :limit", after=after, limit=limit)
    return [TemplateRow(**dict(row)) for row in rows]


def template_row(tx: OwnerTx, public: str) -> TemplateRow:
    """NotFound if the owner has no such template."""
    row = tx.one(f"{_TEMPLATE} WHERE owner_id = :owner AND public_id = :public", public=public)
    if row is None:
        raise NotFound(f"no template {public}")
    return TemplateRow(**dict(row))


def create_template(tx: OwnerTx, name: str, locale: str, content_sid: str, *, now: int) -> TemplateRow:
    """A new template. TemplateExists."""
    public = public_id("tpl")
    made = tx.run(
        """
        INSERT INTO templates (owner_id, public_id, name, locale, content_sid, created_at)
        VALUES (:owner, :public, :name, :locale, :content_sid, :now) ON CONFLICT (owner_id, name, locale) DO NOTHING
        """,
        public=public,
        name=name,
        locale=locale,
        content_sid=content_sid,
        now=now,
    )
    if not made:
        raise TemplateExists(f"there is a template {name} in {locale} already")
    return template_row(tx, public)


def change_template(tx: OwnerTx, row: TemplateRow, content_sid: str, *, version: int | None) -> TemplateRow:
    """Take another approved template for the same purpose. StaleVersion if it is not at ``version`` any more."""
    changed = tx.run(
        """
        UPDATE templates SET content_sid = :content_sid, version = version + 1
        WHERE owner_id = :owner AND id = :id AND version = coalesce(:version, version)
        """,
        id=row.id,
        content_sid=content_sid,
        version=version,
    )
    if not changed:
        raise StaleVersion(f"template {row.public_id} is not at version {version} any more")
    return template_row(tx, row.public_id)


def delete_template(tx: OwnerTx, row: TemplateRow, *, version: int | None) -> None:
    """Forget it. StaleVersion as above."""
    gone = tx.run(
        "DELETE FROM templates WHERE owner_id = :owner AND id = :id AND version = coalesce(:version, version)",
        id=row.id,
        version=version,
    )
    if not gone:
        raise StaleVersion(f"template {row.public_id} is not at version {version} any more")
