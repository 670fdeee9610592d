"""What messages carry is read for people as far as it can be, and no further."""

import pytest

from wtai.web.console.conversation_details import NONE, Contact, contacts_of, details_of


@pytest.mark.parametrize("text", [None, "[]", "null", '"x"', "{", '{"location": {"latitude": "far"}}', '{"button": "Sim"}'])
def test_details_of_another_shape_are_none(text: str | None) -> None:
    assert details_of(text) == NONE


def test_of_what_is_known_the_rest_does_not_matter() -> None:
    found = details_of('{"list": {"id": "1", "title": "Pão", "new": 1}, "context": {"x": [1]}, "forwarded": true}')
    assert found.list is not None
    assert (found.list.title, found.forwarded, found.location) == ("Pão", True, None)


@pytest.mark.parametrize(("address", "link"), [("https://x.example/a", True), ("javascript:alert(1)", False), ("//x", False)])
def test_an_advertisement_is_linked_to_on_the_web_alone(address: str, link: bool) -> None:
    found = details_of(f'{{"referral": {{"source_url": "{address}"}}}}').referral
    assert found is not None
    assert bool(found.link) == link


def test_cards_are_read_with_folded_lines_groups_and_many_people() -> None:
    lines = ("BEGIN:VCARD", "FN;CHARSET=UTF-8:Ana\\, da", "  Silva", "item1.TEL;waid=5511:+55 11", "TEL;VALUE=uri:tel:+1")
    card = "\r\n".join((*lines, "END:VCARD", ""))
    assert contacts_of(card) == [Contact("Ana, da Silva", ("+55 11", "+1"))]
    assert len(contacts_of("BEGIN:VCARD\nFN:A\nEND:VCARD\n" * 50)) == 10
    assert contacts_of("\x00no card: at all\nEND:VCARD") == []
