"""Which language a person writes: known where phrases of one language alone are in what they wrote, else not."""

import pytest

from wtai.conversation.language import language_of


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (["oi, bom dia"], "pt"),
        (["oi", "quanto custa o pão de queijo?"], "pt"),
        (["não", "sim"], "pt"),
        (["hola", "quiero una cita para mañana"], "es"),
        (["hey can you help me"], "en"),
        (["hi", "I want two loaves please"], "en"),
        (["pizza", "bom dia, meu pedido não chegou", "👍", "ok"], "pt"),
    ],
)
def test_the_language_that_texts_agree_on(texts: list[str], language: str) -> None:
    assert language_of(texts) == language


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["👍"],
        ["kkkk"],
        ["ok", "no", "si"],
        ["ok bye"],
        ["thanks", "gracias", "tchau"],
        ["hola"],
        ["oi"],
        ["quanto gastei este mês?"],
        ["Bonjour, ça va ?"],
        ["Guten Tag, ich hätte gern zwei Brote"],
        ["oi, bom dia", "hola buenas tardes"],
        ["hey can you help me", "meu pedido não chegou, bom dia"],
    ],
    ids=str,
)
def test_too_little_and_what_disagrees_tells_none(texts: list[str]) -> None:
    assert language_of(texts) is None
