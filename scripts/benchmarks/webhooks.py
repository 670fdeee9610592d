"""Signed webhooks as bytes on the wire, made before the clock starts."""

import secrets
from collections.abc import Iterable
from urllib.parse import urlencode

from wtai.simulator.twilio_forms import inbound_form
from wtai.simulator.twilio_messages import Message
from wtai.simulator.twilio_webhooks import sign

ACCOUNT = "AC" + "b" * 32
TOKEN = "benchmark-token"
NUMBER = "whatsapp:+551130000000"
PUBLIC_URL = "https://bench.example"
PATH = "/webhooks/twilio/inbound"


def inbound(user: int, body: str) -> bytes:
    """One request by which user number ``user`` writes ``body``; its MessageSid is fresh."""
    sender = f"whatsapp:+5511{900_000_000 + user}"
    sid = f"SM{secrets.token_hex(16)}"
    message = Message(sid, ACCOUNT, sender, NUMBER, body, "inbound", "received", created_at=0, updated_at=0)
    form = inbound_form(message, (), "Cliente", ())
    content = urlencode(form).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n"
        "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"
        f"I-Twilio-Idempotency-Token: {secrets.token_hex(16)}\r\n"
        f"X-Twilio-Signature: {sign(PUBLIC_URL + PATH, form, TOKEN)}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def of_many_users(count: int, users: Iterable[int]) -> list[bytes]:
    """``count`` requests, one user after the other, round and round."""
    known = list(users)
    return [inbound(known[n % len(known)], f"oi, mensagem {n}: qual é o horário de sábado?") for n in range(count)]
