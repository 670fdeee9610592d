"""What belongs to a change besides the change itself, in its transaction: the audit line, and the answer kept for its key.

The answer is kept with what was done, or neither is: a client that asks again, after a crash of either side too, gets the same
answer and nothing happens twice. There is one writer, so of two requests at once the second finds the answer of the first.
"""

import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from pydantic import BaseModel

from wtai.clock import DAY
from wtai.db.tx import SystemTx
from wtai.identity.access import Principal
from wtai.identity.audit_store import Actor, audit
from wtai.secrets import Sealer
from wtai.web.api.models import Identified
from wtai.web.idempotency_store import Kept, forget_answers, keep_answer, kept_answer
from wtai.web.problems import KEY_REUSED, Fault, Problem

R = TypeVar("R", bound=BaseModel | None)

KEPT_MS: Final = DAY
_PURPOSE: Final = "idempotency keys"
_FORGOTTEN_AT_ONCE: Final = 20
"""Old answers that a new one takes away: more than one for one, so that they never pile up."""
SEALED_FIELD: Final = "idempotency_keys.answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Replay(Exception):
    """The request was answered before; nothing is done."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("answered before")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Key:
    """An Idempotency-Key of a principal, and a digest of what it came with."""

    value: str
    digest: bytes

    def fingerprints(self, sealer: Sealer) -> list[str]:
        """What is kept of the request, under each key: bodies hold passwords, which a plain hash would give away to guessing."""
        return [hmac.digest(key, self.digest, "sha256").hex() for key in sealer.derived(_PURPOSE).values()]


@dataclass(frozen=True, slots=True)
class Once:
    """Does a change. ``action`` None: what is called writes the audit line itself. ``target`` is the path's last id."""

    principal: Principal
    owner_id: int
    actor: Actor
    action: str | None
    target: str | None
    key: Key | None
    sealer: Sealer
    answer: Callable[[BaseModel | None], Answer]
    now: int

    def __call__(self, tx: SystemTx, work: Callable[[SystemTx], R]) -> R:
        """Run ``work``, which returns what the request is answered with. Replay if it was answered before."""
        asking = tx.for_owner(self.principal.owner_id)
        if self.key is not None:
            kept = kept_answer(asking, self.principal.id, self.key.value, since=self.now - KEPT_MS)
            if kept is not None:
                self._replay(kept, self.key)
        result = work(tx)
        if self.action is not None:
            target = result.id if isinstance(result, Identified) else self.target
            audit(tx.for_owner(self.owner_id), self.actor, self.action, target, now=self.now)
        if self.key is not None:
            sealed = self.sealer.seal(asking.owner_id, SEALED_FIELD, _packed(self.answer(result)))
            kept = Kept(self.key.fingerprints(self.sealer)[0], sealed)
            keep_answer(asking, self.principal.id, self.key.value, kept, now=self.now)
            forget_answers(tx, before=self.now - KEPT_MS, limit=_FORGOTTEN_AT_ONCE)
        return result

    def _replay(self, kept: Kept, key: Key) -> None:
        if kept.fingerprint not in key.fingerprints(self.sealer):
            fault = Fault("Idempotency-Key", "was used for another request within the last 24 hours")
            raise Problem(KEY_REUSED, "the Idempotency-Key came with another request before", [fault])
        raise Replay(_unpacked(self.sealer.unseal(self.principal.owner_id, SEALED_FIELD, kept.answer)))


def _packed(answer: Answer) -> str:
    return json.dumps([answer.status, b64encode(answer.body).decode(), dict(answer.headers)])


def _unpacked(text: str) -> Answer:
    status, body, headers = json.loads(text)
    return Answer(status, b64decode(body), headers)
