"""Where Twilio is to bring messages."""


def webhook_url(base: str | None) -> str:
    """The address to paste into Twilio for a number's incoming messages, below the public URL, if that is known.

    The fragment makes Twilio try again: without it one lost connection loses the message
    (twilio.com/docs/usage/webhooks/webhooks-connection-overrides).
    """
    return f"{base or 'https://YOUR-HOST'}/webhooks/twilio/inbound#rc=3&rp=all&ct=3000&rt=4500"
