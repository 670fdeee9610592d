"""The jobs that fetch what a person attached, and have listened to what they said."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from wtai.channels.accounts import Accounts
from wtai.channels.download import Download, MediaRefused, MediaUnavailable
from wtai.channels.media_files import MediaFiles
from wtai.clock import Clock
from wtai.conversation import media, media_store
from wtai.conversation.language import language_of
from wtai.conversation.media_store import Kept, Origin
from wtai.conversation.model import Attachment, MediaStatus
from wtai.db.tx import Database, OwnerTx
from wtai.errors import BudgetReached, GiveUp, LlmRefused, LlmUnavailable, Retry
from wtai.failpoints import failpoint, pass_failpoint
from wtai.identity.model import Owner
from wtai.identity.preferences import Preferences
from wtai.identity.store import owner, preferences
from wtai.jobs.queue import Job

log = structlog.get_logger(__name__)

FORGO = "forgo_media"
"""The kind of job that takes over from a dead one: what was not fetched or heard by then never will be. Same payload."""

_NO_KEY_YET = "missing_api_key"

Transcribe = Callable[[int, int, bytes, str, str | None], Awaitable[str]]
"""What a person says in audio (owner, person, content, content type, their language if it is known), empty for silence.
LlmUnavailable, LlmRefused or BudgetReached.
"""


@dataclass(frozen=True, slots=True)
class _Work:
    """A message's attachments, and what is needed to fetch them."""

    message_id: int
    origin: Origin
    owner: Owner
    attachments: tuple[Attachment, ...]

    @property
    def announced(self) -> list[Attachment]:
        return [one for one in self.attachments if one.status is MediaStatus.ANNOUNCED]


class Attachments:
    """Fetches attachments through the channels' ``downloads`` into ``files``. ``base`` holds for owners that chose nothing."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        downloads: Mapping[str, Download],
        files: MediaFiles,
        transcribe: Transcribe,
        clock: Clock,
        *,
        base: Preferences,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._downloads = downloads
        self._files = files
        self._transcribe = transcribe
        self._clock = clock
        self._base = base

    async def handle(self, job: Job) -> None:
        """Fetch a message's attachments, hear those that are audio, and let the turn that waited go on.

        Retry while the provider or the model is unavailable, or there is no key for the model yet.
        """
        work = await self._database.read(job.owner_id, _work, job.argument("message_id"))
        for attachment in work.announced:
            await self._settle(job, work, attachment)

    async def forgo(self, job: Job) -> None:
        """Count what a dead job left as not to be had, so that the conversation waits no longer."""
        work = await self._database.read(job.owner_id, _work, job.argument("message_id"))
        for attachment in work.announced:
            await self._lose(job, work, attachment, "gave up")

    async def _settle(self, job: Job, work: _Work, attachment: Attachment) -> None:
        try:
            path = await self._fetched(job, work, attachment)
            transcript = await self._heard(job, work, attachment, path) if attachment.is_audio else None
        except MediaUnavailable as exc:
            raise await self._later(job, work, str(exc), None) from exc
        except LlmUnavailable as exc:
            raise await self._later(job, work, f"transcription unavailable: {exc.code}", exc.retry_after_ms) from exc
        except MediaRefused as exc:
            await self._lose(job, work, attachment, str(exc))
        except BudgetReached:
            await self._lose(job, work, attachment, "not transcribed: budget")
        except LlmRefused as exc:
            if exc.code == _NO_KEY_YET:
                raise await self._later(job, work, str(exc), None) from exc
            await self._lose(job, work, attachment, f"not transcribed: {exc.code}")
        else:
            await self._database.write(job.owner_id, _keep, work, attachment, transcript, self._base, now=self._clock.now())
            if attachment.is_audio:
                await pass_failpoint("transcribe.after_commit")

    async def _fetched(self, job: Job, work: _Work, attachment: Attachment) -> str:
        """The path of the attachment's file; one that an earlier try fetched is not fetched again."""
        if attachment.path is not None and await asyncio.to_thread(self._files.has, attachment.path):
            return attachment.path
        download = self._downloads.get(work.origin.channel)
        if download is None:
            raise MediaRefused(f"nothing downloads from channel {work.origin.channel!r}")
        account = await self._accounts.of_owner(job.owner_id, work.origin.address)
        with self._files.incoming() as file:
            got = await download.download(account, attachment.url, file.write)
            path = await asyncio.to_thread(file.keep, work.owner.public_id)
            kept = Kept(path, file.size, file.sha256, got.name)
        await self._database.write(job.owner_id, media_store.set_file, attachment.id, kept)
        return path

    async def _heard(self, job: Job, work: _Work, attachment: Attachment, path: str) -> str:
        """What is said in the file; one of the same content that was heard before is not listened to again."""
        known = await self._database.read(job.owner_id, media_store.transcript_of, attachment.id)
        if known is not None:
            return known
        user_id = work.origin.user_id
        wrote = await self._database.read(job.owner_id, media_store.texts_before, user_id, work.message_id)
        audio = await asyncio.to_thread(self._files.read, path)
        return await self._transcribe(job.owner_id, user_id, audio, attachment.content_type, language_of(wrote))

    async def _later(self, job: Job, work: _Work, reason: str, delay_ms: int | None) -> Retry:
        """The order to try again; what was written before this attachment does not wait for it much longer."""
        await self._database.write(job.owner_id, _go_on, work, self._base, now=self._clock.now())
        return Retry(reason, delay_ms=delay_ms)

    async def _lose(self, job: Job, work: _Work, attachment: Attachment, reason: str) -> None:
        log.warning("media.failed", attachment=attachment.id, reason=reason)
        await self._database.write(job.owner_id, _fail, work, attachment, reason, self._base, now=self._clock.now())


def _work(tx: OwnerTx, message_id: int) -> _Work:
    origin = media_store.origin(tx, message_id)
    if origin is None:
        raise GiveUp(f"no message {message_id}")
    return _Work(message_id, origin, owner(tx), tuple(media_store.of_message(tx, message_id)))


def _keep(tx: OwnerTx, work: _Work, attachment: Attachment, transcript: str | None, base: Preferences, *, now: int) -> None:
    if media_store.set_kept(tx, attachment.id, transcript):
        _go_on(tx, work, base, now=now)
    if attachment.is_audio:
        failpoint("transcribe.before_commit")


def _fail(tx: OwnerTx, work: _Work, attachment: Attachment, reason: str, base: Preferences, *, now: int) -> None:
    if media_store.set_failed(tx, attachment.id, reason):
        _go_on(tx, work, base, now=now)


def _go_on(tx: OwnerTx, work: _Work, base: Preferences, *, now: int) -> None:
    media.go_on(tx, work.origin.conversation_id, preferences(tx, base), now=now)
