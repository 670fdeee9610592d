"""Yes, no, or neither: what a short answer says, and that anything more makes it neither."""

import pytest

from wtai.conversation.consent import Consent, consent

ERASE = "Só preciso que confirme.\n\nApagar a despesa de R$ 10,00 (café) de 20/11/2026?"
YES = {
    "pt-BR": [
        "sim",
        "Siiim!",
        "pode",
        "pode sim, obrigada",
        "isso",
        "isso mesmo",
        "claro",
        "quero",
        "s",
        "ok",
        "blz",
        "tá bom, pode",
        "👍🏿",
        "uhum",
        "com certeza",
        "sim senhor",
        "CONFIRMO",
        "bom dia, sim",
    ],
    "es": ["sí, claro", "dale", "vale", "cómo no", "si porfa"],
    "en": ["yes please", "yup", "sure, go ahead", "sounds good"],
}
NO = {
    "pt-BR": [
        "não",
        "Nãããão",
        "n",
        "nn",
        "não, obrigado",
        "ainda não",
        "agora não",
        "deixa",
        "deixa pra lá",
        "claro que não",
        "quero não",
        "não precisa",
        "melhor não",
        "não é isso",
        "isso não",
        "👎",
        "esquece",
    ],
    "es": ["no, gracias", "todavía no", "para nada", "mejor no"],
    "en": ["nope", "not yet", "no thanks", "never mind"],
}
NEITHER = {
    "pt-BR": [
        "",
        "...",
        "sim, mas",
        "sim, mas antes muda a data",
        "sim?",
        "sim e não",
        "não, sim",
        "talvez",
        "não sei",
        "espera",
        "não entendi",
        "sim, 50 reais",
        "cancela",
        "não cancela",
        "no fim do mês",
        "obrigado",
        "tchau",
        "se der, sim",
        "não quero esse, quero o outro",
        "sim " * 100,
    ],
    "es": ["sí, pero mañana", "quizás"],
    "en": ["yes but not today", "maybe", "yes or no?"],
}


def pairs(answers: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(language, answer) for language, several in answers.items() for answer in several]


@pytest.mark.parametrize(("language", "answer"), pairs(YES))
def test_a_yes_is_read(language: str, answer: str) -> None:
    assert consent(answer, language) is Consent.YES


@pytest.mark.parametrize(("language", "answer"), pairs(NO))
def test_a_no_is_read(language: str, answer: str) -> None:
    assert consent(answer, language) is Consent.NO


@pytest.mark.parametrize(("language", "answer"), pairs(NEITHER))
def test_whatever_says_more_or_less_is_neither(language: str, answer: str) -> None:
    assert consent(answer, language) is Consent.NEITHER


@pytest.mark.parametrize("language", [None, "fr", "xx-YY", ""])
def test_without_a_known_language_every_list_is_tried(language: str | None) -> None:
    assert consent("sim", language) is Consent.YES
    assert consent("todavía no", language) is Consent.NO
    assert consent("sure, go ahead", language) is Consent.YES
    assert consent("sim, pero no", language) is Consent.NEITHER


@pytest.mark.parametrize(
    ("text", "question", "said"),
    [
        ("sim, pode apagar", ERASE, Consent.YES),
        ("pode apagar", ERASE, Consent.YES),
        ("sim, apaga a despesa", ERASE, Consent.YES),
        ("não apaga", ERASE, Consent.NO),
        ("sim, apaga tudo", ERASE, Consent.NEITHER),
        ("sim, mas só a do almoço", ERASE, Consent.NEITHER),
        ("apaga", ERASE, Consent.NEITHER),
        ("sim, pode vender", ERASE, Consent.NEITHER),
        ("yes, delete it", "Delete the expense of R$ 10.00?", Consent.YES),
        ("sí, bórrala", "¿Borrar el gasto de R$ 10,00?", Consent.YES),
        ("sim, pode apagar", "", Consent.NEITHER),
    ],
)
def test_words_of_the_question_that_come_back_are_part_of_the_answer(text: str, question: str, said: Consent) -> None:
    assert consent(text, question=question) is said


ALL = "Certo.\n\nApagar de vez todos os 6 lançamentos (receitas de R$ 10,00 e despesas de R$ 3,00)?"


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("pode apagar as receitas", ALL),
        ("sim, só as despesas", ALL),
        ("pode apagar 2 lançamentos", ALL),
        ("sim, só o lançamento", ALL),
        ("yes, delete expenses", "Permanently delete all 6 entries (income of $ 1.00, expenses of $ 2.00)?"),
        (
            "pode apagar as anotações",
            "Apagar Maria (mãe) e tudo o que anotei sobre essa pessoa (2 anotações)? Não dá para desfazer.",
        ),
        ("sim, pizza", "Confirma “fazer pedido”?\n- itens: pizza, suco"),
        ("sim, o café", "O café e o almoço estão aí.\n\nApagar a despesa de R$ 32,50 (almoço) de 20/11/2026?"),
        ("sim, 1500", "Lançar a despesa de R$ 1500,00 (geladeira) de 20/11/2026?"),
    ],
)
def test_a_yes_to_a_part_of_what_was_asked_is_no_yes(text: str, question: str) -> None:
    assert consent(text, question=question) is Consent.NEITHER


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("pode apagar todos", ALL),
        ("sim, apaga os lançamentos", ALL),
        ("pode apagar a Maria", "Apagar Maria (mãe) e tudo o que anotei sobre essa pessoa (2 anotações)?"),
        ("pode apagar tudo", "Apagar tudo o que lembro de você (3 lembranças)? Não dá para desfazer."),
        ("sim, pode lançar", "Preciso da sua confirmação.\n\nLançar a despesa de R$ 1.500,00 (geladeira) de 20/11/2026?"),
    ],
)
def test_a_yes_in_words_of_the_whole_question_is_one(text: str, question: str) -> None:
    assert consent(text, question=question) is Consent.YES
