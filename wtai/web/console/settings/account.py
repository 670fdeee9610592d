"""Oneself: one's own password, and the sessions that are open."""

from collections.abc import Mapping

from aiohttp import web

from wtai.db.tx import OwnerTx
from wtai.errors import NotFound
from wtai.identity.passwords import check_password
from wtai.identity.registration import give_password
from wtai.identity.sessions_store import revoke_session, sessions_of
from wtai.identity.users_store import rename_user, user_of_public_id
from wtai.web.api.me import OwnPassword
from wtai.web.console.page import Page, Visit
from wtai.web.console.settings.forms import BLANK, Form, read, sent, version_of
from wtai.web.console.settings.frame import PLACE, over, show
from wtai.web.console.settings.words import Refused

_PATH = f"{PLACE}/account"


async def account(visit: Visit) -> web.StreamResponse:
    """One's own."""
    return await _shown(visit, BLANK)


async def rename(visit: Visit) -> web.StreamResponse:
    """What colleagues call one."""

    async def work(given: Mapping[str, str]) -> web.Response:
        name = given.get("name", "").strip()[:200] or None

        def change(tx: OwnerTx) -> None:
            rename_user(tx, user_of_public_id(tx, visit.user.public_id), name, version=version_of(given), now=visit.now)

        await visit.audited("me.update", visit.user.public_id, change)
        return over(visit, _PATH, "saved")

    return await sent(visit, work, lambda form: _shown(visit, form))


async def change_password(visit: Visit) -> web.StreamResponse:
    """All other sessions end."""

    async def work(given: Mapping[str, str]) -> web.Response:
        words = read(OwnPassword, {}, current=given.get("current", ""), password=given.get("password", ""))
        check_password(words.password, (visit.user.email or "", visit.user.name or ""))
        if not await visit.means.sessions.check_own_password(visit.principal, words.current):
            raise Refused("current", visit.text("This is not your password."))
        hashed = await visit.means.passwords.hashed(words.password)

        def change(tx: OwnerTx) -> None:
            now_is = user_of_public_id(tx, visit.user.public_id)
            kept = visit.principal.session
            give_password(tx, now_is, hashed, kept_session=kept, version=now_is.version, actor=visit.actor, now=visit.now)

        await visit.write(change)
        return over(visit, _PATH, "password")

    return await sent(visit, work, lambda form: _shown(visit, form), hidden=("current", "password"))


async def end_session(visit: Visit) -> web.StreamResponse:
    """One of one's own; ``others`` are all but the one that asks."""
    which = visit.ids["session"]

    def work(tx: OwnerTx) -> None:
        mine = {session.public_id for session in sessions_of(tx, visit.user, now=visit.now)}
        if which != "others" and which not in mine:
            raise NotFound("no session of this user")
        for public in mine - {visit.principal.session} if which == "others" else {which}:
            revoke_session(tx, public, reason="ended by its user", actor=visit.actor, now=visit.now)

    await visit.write(work)
    return over(visit, _PATH, "ended")


async def _shown(visit: Visit, form: Form) -> web.Response:
    sessions = await visit.read(sessions_of, visit.user, now=visit.now)
    return show(
        visit,
        "account.html",
        _PATH,
        status=form.status,
        form=form,
        sessions=sorted(sessions, key=lambda session: session.public_id != visit.principal.session),
        current=visit.principal.session,
    )


PAGES = (
    Page("GET", _PATH, account, "me.read"),
    Page("POST", _PATH, rename, "me.update"),
    Page("POST", f"{_PATH}/password", change_password, "me.update"),
    Page("POST", f"{_PATH}/sessions/{{session}}", end_session, "sessions.delete"),
)
