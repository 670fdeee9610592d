"""Texts that would run in a page which did not escape them, put wherever somebody else's text is shown in the console."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wtai.conversation import handoff, inbox, store
from wtai.conversation.canned_store import create_canned
from wtai.conversation.labels_store import insert_label, put_label
from wtai.conversation.model import Conversation, Inbound, Kind
from wtai.conversation.views_store import add_note
from wtai.db.tx import OwnerTx
from wtai.identity.preferences import Preferences
from wtai.ids import public_id

VECTORS: Final = (
    "<script>hit({n})</script>",
    "<img src=x onerror=hit({n})>",
    "<svg onload=hit({n})>",
    "<svg><script>hit({n})</script></svg>",
    '"><script>hit({n})</script>',
    '" onfocus=hit({n}) autofocus x="',
    "' onmouseover='hit({n})' style='position:fixed;inset:0",
    "javascript:hit({n})",
    '<a href="jav&#x09;ascript:hit({n})" autofocus>x</a>',
    "</textarea><script>hit({n})</script>",
    "</title></style></template><svg/onload=hit({n})>",
    "--><img src=x onerror=hit({n})><!--",
    '<iframe srcdoc="<script>parent.hit({n})</script>"></iframe>',
    "<style>@import '//evil.example/{n}';</style>",
    '<div style="background:url(//evil.example/{n})">',
    "<link rel=stylesheet href=//evil.example/{n}>",
    "<base href=//evil.example/{n}/>",
    '<meta http-equiv=refresh content="0;url=//evil.example/{n}">',
    "{{{{ hit({n}) }}}}{{% print(hit({n})) %}}${{hit({n})}}<%= hit({n}) %>",
    "<scr\u200bipt>hit({n})</script>\uff1cscript\uff1ehit({n})\uff1c/script\uff1e\\u003cscript>hit({n})</script>",
    "<div hx-get=/console/logout hx-trigger=load hx-on:load=hit({n}) hx-swap=none data-hx-get=/x></div>",
    "\u202e<b onclick=hit({n}) onpointerenter=hit({n})>\u2066x</b>",
    "*<img src=x onerror=hit({n})>* _</em><svg onload=hit({n})>_ ```<script>hit({n})</script>```",
    "<hx-partial hx-target=body hx-swap=innerHTML><img src=x onerror=hit({n})></hx-partial>",
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=hit({n})&gt;">',
)
"""Ways to run something, or to ask another server for something."""

FIELDS: Final = (
    "body", "profile", "file", "content_type", "transcript", "button", "choice", "label_of_place", "address", "headline",
    "advertisement", "link", "contact", "label", "canned", "note", "reason", "staff", "owner", "tool",
)  # fmt: skip
"""Where other people's texts are shown."""


@dataclass(frozen=True)
class Planted:
    """A conversation full of one vector. ``answer`` is the message of the AI, which has a trace."""

    conversation: str
    answer: str
    texts: dict[str, str]
    numbers: dict[str, int]

    @property
    def hidden(self) -> list[str]:
        """The fields that are rightly not shown: parameters of a content type, and what is no address of the web."""
        cut = str(self.numbers["content_type"]) not in self.texts["content_type"].partition(";")[0]
        return ["content_type"] * cut + ["link"] * self.texts["link"].startswith("javascript:")


def payloads(number: int) -> tuple[dict[str, str], dict[str, int]]:
    """The texts of a vector by field, and the number by which each is known."""
    numbers = {field: 7_000_000 + number * 100 + at for at, field in enumerate(FIELDS)}
    return {field: VECTORS[number].format(n=mark) for field, mark in numbers.items()}, numbers


def plant(tx: OwnerTx, number: int, staff: str, media: Path, chosen: Preferences, *, now: int) -> Planted:
    """Somebody whose every word is an attack, in the hands of staff."""
    texts, numbers = payloads(number)
    place = {"latitude": 1.0, "longitude": 2.0, "label": texts["label_of_place"], "address": texts["address"]}
    details: Sequence[tuple[Kind, str, dict[str, object]]] = (
        (Kind.TEXT, texts["body"], {"referral": _referral(texts)}),
        (Kind.BUTTON, "", {"button": {"text": texts["button"], "payload": texts["button"]}}),
        (Kind.LIST, "", {"list": {"title": texts["choice"], "id": "1"}}),
        (Kind.LOCATION, "", {"location": place}),
        (Kind.DOCUMENT, "", {}),
        (Kind.AUDIO, "", {}),
        (Kind.CONTACT, "", {}),
    )  # fmt: skip
    address, messages, conversation_id = f"whatsapp:+5511{90_000_000 + number}", [], 0
    for at, (kind, body, of) in enumerate(details):
        inbound = Inbound(
            channel="whatsapp", provider_sid=f"SM{number:016}{at:016}", our_address="whatsapp:+551130000001", reply_to=address,
            identities=(address,), lookup=(), kind=kind, body=body, profile_name=texts["profile"], details=of,
        )  # fmt: skip
        received = inbox.receive(tx, inbound, chosen, now=now)
        assert received.message_id is not None
        assert received.conversation_id is not None
        messages.append(received.message_id)
        conversation_id = received.conversation_id
    conversation = store.conversation(tx, conversation_id)
    assert conversation is not None
    _attach(tx, messages[4], texts["content_type"], name=texts["file"])
    _attach(tx, messages[5], "audio/ogg", transcript=texts["transcript"])
    card = media / f"{number}.vcf"
    card.write_text(f"BEGIN:VCARD\nFN:{texts['contact']}\nTEL:+1\nEND:VCARD\n", "utf-8")
    _attach(tx, messages[6], "text/vcard", path=card.name)
    answer = _answered(tx, conversation, messages[-1], texts["tool"], now)
    handoff.take_over(tx, conversation, reason=texts["reason"], staff=staff, now=now)
    put_label(tx, conversation.id, insert_label(tx, texts["label"], "red", now=now), now=now)
    create_canned(tx, f"texto{number}", texts["canned"], now=now)
    add_note(tx, conversation.id, staff, texts["note"], now=now)
    return Planted(conversation.public_id, answer, texts, numbers)


def _referral(texts: dict[str, str]) -> dict[str, str]:
    link = texts["link"]
    link = link if link.startswith("javascript:") else f"https://shop.example/?{link}"
    return {"headline": texts["headline"], "body": texts["advertisement"], "source_url": link}


def _attach(
    tx: OwnerTx,
    message_id: int,
    content_type: str,
    *,
    name: str | None = None,
    transcript: str | None = None,
    path: str = "absent",
) -> None:
    tx.run(
        """
        INSERT INTO media (owner_id, message_id, position, url, content_type, status, path, size, name, transcript)
        VALUES (:owner, :message_id, 0, '', :content_type, 'kept', :path, 1, :name, :transcript)
        """,
        message_id=message_id,
        content_type=content_type,
        path=path,
        name=name,
        transcript=transcript,
    )


def _answered(tx: OwnerTx, conversation: Conversation, through: int, tool: str, now: int) -> str:
    """An answer of the AI whose tool was given, and gave, something hostile; its message."""
    calls = json.dumps([{"name": tool, "arguments": tool, "result": tool}])
    [result] = tx.all(
        """
        INSERT INTO ai_results (owner_id, public_id, conversation_id, through_message_id, feature, outcome, model, calls,
            created_at)
        VALUES (:owner, :public, :id, :through, 'general', 'answered', :tool, :calls, :now) RETURNING id
        """,
        public=public_id("res"),
        id=conversation.id,
        through=through,
        tool=tool,
        calls=calls,
        now=now,
    )
    public = public_id("msg")
    tx.run(
        """
        INSERT INTO messages (owner_id, public_id, conversation_id, direction, author, status, body, provider_sid, ai_result_id,
            created_at, updated_at)
        VALUES (:owner, :public, :id, 'outbound', 'agent', 'failed', :body, :public, :result, :now, :now)
        """,
        public=public,
        id=conversation.id,
        body=tool,
        result=result["id"],
        now=now,
    )
    return public
