"""Who a message is from: the addresses of one person, and the spellings under which a phone number may be known.

An address is ``whatsapp:+<E.164>``, ``+<E.164>`` (SMS), or WhatsApp's own id of a person, ``whatsapp:<CC>.<id>`` (BSUID, in
ExternalUserId, and in From where the person shows no phone); see twilio.com/docs/whatsapp/key-concepts. None of them is ever
corrected: what was received is what is answered.
"""

import re
from collections.abc import Iterable, Mapping

# Brazilian mobile numbers, area code (two digits, none zero) and subscriber. The ninth digit, a leading 9, was put before
# eight-digit numbers that began with 6 to 9; those with 2 to 5 are landlines and never had one. WhatsApp still knows many
# people by the eight-digit number.
_BRAZILIAN_MOBILE = re.compile(r"(?P<before>(?:[a-z]+:)?\+55[1-9]{2})(?P<ninth>9?)(?P<number>[6-9][0-9]{7})")
_PHONE = re.compile(r"[1-9][0-9]{6,14}")


def identities(sender: str, fields: Mapping[str, str]) -> tuple[str, ...]:
    """The addresses of the sender, the most stable first: WhatsApp's id, its parent account's id, then ``sender`` itself."""
    ids = (fields.get("ExternalUserId", "").strip(), fields.get("ParentExternalUserId", "").strip(), sender)
    return _distinct(ids)


def spellings(known_as: tuple[str, ...], fields: Mapping[str, str]) -> tuple[str, ...]:
    """Other addresses under which this person may be stored: the number that WhatsApp reports in WaId (it differs from the
    dialled one in Brazil, Mexico and Argentina), and Brazilian mobile numbers with and without the ninth digit.
    """
    reported = fields.get("WaId", "")
    numbers = [f"whatsapp:+{reported}"] if _PHONE.fullmatch(reported) else []
    others = numbers + [other for address in (*known_as, *numbers) for other in _other_ninth_digit(address)]
    return tuple(address for address in _distinct(others) if address not in known_as)


def _other_ninth_digit(address: str) -> tuple[str, ...]:
    mobile = _BRAZILIAN_MOBILE.fullmatch(address)
    if mobile is None:
        return ()
    return (mobile["before"] + ("" if mobile["ninth"] else "9") + mobile["number"],)


def _distinct(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, addresses)))
