"""What a person reads on WhatsApp: no Markdown left over, nothing lost, parts the channel takes."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtai.conversation.whatsapp import split, to_whatsapp, utf16_length


@pytest.mark.parametrize(
    ("markdown", "whatsapp"),
    [
        ("**Saldo**: R$ 10", "*Saldo*: R$ 10"),
        ("__Saldo__ e ***total***", "*Saldo* e *_total_*"),
        ("**duas\nlinhas**", "*duas*\n*linhas*"),
        ("~~não~~ sim", "~não~ sim"),
        ("já *negrito* e _itálico_ ficam", "já *negrito* e _itálico_ ficam"),
        ("2 ** 3 e snake_case_name", "2 ** 3 e snake_case_name"),
        ("**cortado no mei", "cortado no mei"),
        ("# Resumo\ntexto", "*Resumo*\ntexto"),
        ("### **Resumo** ###", "*Resumo*"),
        ("Resumo\n======\ntexto", "*Resumo*\ntexto"),
        ("#hashtag não é título", "#hashtag não é título"),
        ("a\n\n---\n\nb", "a\n\nb"),
        ("* um\n+ dois\n• três\n  * quatro", "- um\n- dois\n- três\n  - quatro"),
        ("1. um\n2. dois", "1. um\n2. dois"),
        ("- [ ] fazer\n- [x] feito", "- ☐ fazer\n- ☑ feito"),
        (">citado\n>> duas vezes", "> citado\n> duas vezes"),
        ("Veja [aqui](https://exemplo.com).", "Veja aqui: https://exemplo.com."),
        ("[https://a.com](https://a.com)", "https://a.com"),
        ('[w](https://pt.wikipedia.org/wiki/A_(b) "título")', "w: https://pt.wikipedia.org/wiki/A_(b)"),
        ("[**site**](https://a.com/x__y__z)", "*site*: https://a.com/x__y__z"),
        ("![logo](https://a.com/l.png)", "logo: https://a.com/l.png"),
        ("[topo](#topo) e [m](mailto:a@b.c)", "topo e m: a@b.c"),
        ("<https://a.com>", "https://a.com"),
        ("**https://a.com/b**", "*https://a.com/b*"),
        ("linha<br>outra<BR/>", "linha\noutra"),
        (r"preço \*sem\* negrito, 3\.5", "preço *sem* negrito, 3.5"),
        ("use `a**b__c` assim", "use `a**b__c` assim"),
        ("```python\nx = a**b  # [l](u)\n```", "```\nx = a**b  # [l](u)\n```"),
        ("```\n# não é título", "```\n# não é título\n```"),
        ("| Categoria | Valor |\n|---|---|\n| Mercado | **R$ 300** |", "*Categoria — Valor*\n- Mercado: *R$ 300*"),
        ("| a | b | c |\n|:-|:-:|-:|\n| 1 | 2 | |\n| 3 | 4 | 5 |", "*a*\n- 1 — b: 2\n- 3 — b: 4 — c: 5"),
        ("a | b não é tabela", "a | b não é tabela"),
        ("um  \r\n\r\n\r\n\r\ndois", "um\n\ndois"),
        ("a\u202eb\u2066c\x00d\ufeff\ud83d", "abcd"),
        ("família 👨‍👩‍👧 ❤️", "família 👨‍👩‍👧 ❤️"),
    ],
)
def test_markdown_becomes_what_whatsapp_shows(markdown: str, whatsapp: str) -> None:
    assert to_whatsapp(markdown) == whatsapp
    assert to_whatsapp(whatsapp) == whatsapp


@given(st.text(alphabet=st.sampled_from("ab *_~`#|[]()<>\\-+!\n1.:/é😀"), max_size=60))
def test_any_text_can_be_formatted_and_keeps_its_letters(text: str) -> None:
    kept = [character for character in to_whatsapp(text) if character in "aé😀"]
    assert kept == [character for character in text if character in "aé😀"]


@pytest.mark.parametrize("unit", ["**a ", "~~a ", "__a ", "[", "[a](", "`", ">", "# ", "- ", "|", "https://", "***a", "(["])
def test_a_hostile_text_takes_no_noticeable_time(unit: str) -> None:
    text = unit * (16_000 // len(unit))
    started = time.process_time()
    split(to_whatsapp(text))
    assert time.process_time() - started < 1


ALPHABET = st.sampled_from(
    ["a", "é", " ", "\n", "\n\n", ". ", "! ", "😀", "👨‍👩‍👧", "🇧🇷", "e\u0301", "👍🏽", "palavra", "https://a.com/b"]
)
TEXTS = st.lists(ALPHABET, max_size=80).map("".join)


def squeezed(text: str) -> str:
    return "".join(text.split())


@given(TEXTS, st.integers(2, 60), st.integers(0, 20))
def test_a_split_loses_nothing_but_white_space_and_keeps_the_limit(text: str, aim: int, more: int) -> None:
    parts = split(text, limit=aim + more, aim=aim)
    assert squeezed("".join(parts)) == squeezed(text)
    assert all(part and part == part.strip() and utf16_length(part) <= aim + more for part in parts)


@given(TEXTS)
def test_characters_as_people_see_them_stay_whole(text: str) -> None:
    for part in split(text, limit=40, aim=30):
        assert not part.startswith(("\u200d", "\u0301", "🏽"))
        assert not part.endswith("\u200d")
        assert unicodedata.category(part[0]) != "Mn"
        assert sum("🇦" <= character <= "🇿" for character in part) % 2 == 0


@pytest.mark.parametrize("text", ["a" * 25 + " \u0301" + "b" * 25, "a" * 25 + "\u200d " + "b" * 25, "Fim. \u200d" * 12])
def test_white_space_beside_half_a_character_is_no_place_to_part_at(text: str) -> None:
    for part in split(text, limit=40, aim=30):
        assert not part.startswith(("\u200d", "\u0301"))
        assert not part.endswith("\u200d") or text.endswith(part)


@given(TEXTS)
def test_what_fits_is_one_part(text: str) -> None:
    assert split(text) == ([text.strip()] if text.strip() else [])


def test_the_limit_counts_utf_16_units() -> None:
    assert utf16_length("a😀") == 3
    parts = split("😀" * 801)
    assert [utf16_length(part) for part in parts] == [1500, 102]


def test_cuts_prefer_paragraphs_then_sentences_then_words() -> None:
    assert split("Um texto. Dois textos.\n\nTrês textos aqui.", 30, 28) == ["Um texto. Dois textos.", "Três textos aqui."]
    assert split("Uma frase curta. Outra frase que segue", 30, 28) == ["Uma frase curta.", "Outra frase que segue"]
    assert split("palavras sem ponto nenhum aqui dentro", 20, 18) == ["palavras sem ponto", "nenhum aqui dentro"]
    assert split("R$ 1.250,30 é o saldo desta conta", 20, 14) == ["R$ 1.250,30 é", "o saldo desta conta"]


def test_a_short_first_paragraph_does_not_make_a_tiny_part() -> None:
    first, *_ = split("Oi!\n\n" + "Uma frase de tamanho médio aqui. " * 100)
    assert len(first) > 1000


def test_a_part_is_no_shorter_than_it_has_to_be() -> None:
    text = "\n\n".join(["Parágrafo. " * 40, "Frase de tamanho médio. " * 60, "Mais uma frase. " * 60])
    assert all(utf16_length(part) >= 600 for part in split(text)[:-1])


def test_a_limit_that_no_character_fits_is_refused() -> None:
    with pytest.raises(ValueError, match="aim 1"):
        split("a" * 10, limit=1, aim=1)
