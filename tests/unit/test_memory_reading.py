"""How memory reads texts: words, concepts, what is asked for and about which time; and vectors without a model."""

import math

import pytest

from wtai.ai.memory.embedder import HASHED_DIMENSIONS, HashedEmbedder, hashed
from wtai.ai.memory.lexicon import lexicon
from wtai.ai.memory.reading import CHANGE, Time, alike, keys, names, numbers, question
from wtai.ai.memory.vectors import SCALE, packed
from wtai.ai.memory.words import fold, grams, stem, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("filhas", "filha"),
        ("cachorrinho", "cachorro"),
        ("viajando", "viajar"),
        ("casei", "casar"),
        ("animais", "animal"),
        ("alergias", "alergia"),
        ("canciones", "cancion"),
        ("moramos", "morar"),
    ],
)
def test_inflections_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_amounts_have_one_form() -> None:
    assert numbers("R$ 1.450,00") == numbers("1450 reais") == {"1450"}
    assert numbers("32,50") == {"32", "50"}


def test_accents_case_and_the_spelling_of_wifi_do_not_matter() -> None:
    assert words(fold("ÁLCOOL, Wi-Fi e WI FI")) == ["alcool", "wifi", "e", "wifi"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("qnd é o niver da minha mulher", "Minha esposa Lu faz aniversário em 3 de maio"),
        ("what's my dog's name", "O cachorro da casa se chama Rex"),
        ("¿dónde vivo?", "Moro em Curitiba"),
        ("tomo algum remedio?", "Uso losartana para a pressão"),
        ("posso comer camarao", "Tenho alergia a frutos do mar"),
    ],
)
def test_a_question_and_its_answer_share_a_concept_across_words_and_languages(asked: str, told: str) -> None:
    held = set(keys(told).split())
    assert any(key[0] == "c" and key in held for group in question(asked).wanted for key in group)


@pytest.mark.parametrize(
    ("asked", "time"),
    [
        ("onde eu trabalho hoje", Time.NOW),
        ("quanto tá o aluguel agora", Time.NOW),
        ("quanto eu pagava antes", Time.PAST),
        ("dónde vivía antes mi hermano", Time.PAST),
        ("por que eu briguei com ela", Time.DONE),
        ("nome da minha filha", Time.ANY),
    ],
)
def test_a_question_is_about_a_time(asked: str, time: Time) -> None:
    assert question(asked).time is time


def test_a_change_is_marked() -> None:
    assert CHANGE in keys("Mudei de emprego, agora sou vendedora").split()
    assert CHANGE not in keys("Sou vendedora").split()


def test_keys_are_letters_and_digits_each_once() -> None:
    found = keys('Ana_Maria "disse": NOT filha* OR (mãe) \0 🎂 日本 ²').split()
    assert len(found) == len(set(found))
    assert all(key.isalnum() for key in found)
    assert keys("🎂") == "" == keys("")


def test_names_and_denials_tell_texts_apart() -> None:
    assert names("Meu filho Davi mora com a Ana") == {"davi", "ana"}
    assert alike("O Davi come carne", "o Davi come carne!")
    assert not alike("O Davi come carne", "O Davi não come carne")
    assert not alike("Meu filho Davi", "Meu filho Caio")


def test_the_lexicon_is_folded_and_its_domains_know_their_concepts() -> None:
    book = lexicon()
    members = [word for phrase in book.concepts for word in phrase]
    assert [word for word in members if fold(word) != word] == []
    concepts = {concept for found in book.concepts.values() for concept in found}
    assert set(book.domains) <= concepts
    assert len(concepts) > 200


def test_trigrams_mark_the_beginning_of_a_word() -> None:
    assert grams("gato") == ["0ga", "gat", "ato"]


# --- Vectors


async def test_hashed_vectors_are_the_same_each_time_and_close_for_like_texts() -> None:
    dog, puppy, rent, again = hashed(["Tenho um cachorro", "meu doguinho", "O aluguel vence dia 5", "Tenho um cachorro"])
    assert len(dog) == HASHED_DIMENSIONS
    assert list(dog) == list(again)
    assert _cosine(dog, puppy) > _cosine(dog, rent) + 0.2
    many = await HashedEmbedder().embed(["Tenho um cachorro"] * 20, owner_id=1, user_id=1)
    assert list(many[7]) == list(dog)


def test_a_text_of_signs_alone_has_a_vector() -> None:
    [vector] = hashed(["…"])
    assert packed(vector)


def test_a_packed_vector_keeps_its_direction_in_a_byte_each() -> None:
    values = [math.sin(at) for at in range(512)]
    kept = [byte - 256 if byte > 127 else byte for byte in packed([value * 1e6 for value in values])]
    assert _cosine(values, [float(value) for value in kept]) > 0.999
    assert math.hypot(*kept) == pytest.approx(SCALE, rel=0.01)


@pytest.mark.parametrize("values", [[1.0, math.nan], [math.inf, 0.0], [0.0, 0.0]])
def test_a_vector_without_a_direction_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="vector"):
        packed(values)


def _cosine(one: object, other: object) -> float:
    a, b = list(one), list(other)  # type: ignore[call-overload]
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))
