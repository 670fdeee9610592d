"""What people ask for in words that need no model: to hear no more, to hear again, a human being; and what only sounds alike."""

import pytest

from wtai.conversation.wishes import asks_for_person, asks_to_start, asks_to_stop


@pytest.mark.parametrize("text", ["STOP", "stop", "Sair", "SAIR!", " parar ", "PARAR.", "Pare", "descadastrar", "Salir", "baja"])
def test_a_word_that_means_no_more_messages_is_an_opt_out(text: str) -> None:
    assert asks_to_stop(text)


@pytest.mark.parametrize(
    "text",
    [
        "não pare",
        "quero parar de fumar",
        "posso sair mais cedo?",
        "stop by tomorrow",
        "onde é a saída",
        "a que horas vocês param?",
        "cancelar",
        "cancelar o pedido",
        "tchau",
        "",
        "👋",
    ],
)
def test_a_sentence_that_holds_such_a_word_is_not(text: str) -> None:
    assert not asks_to_stop(text)


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("START", True),
        ("começar", True),
        ("comecar!", True),
        ("VOLTAR", True),
        ("Iniciar.", True),
        ("empezar", True),
        ("volver", True),
    ],
)
def test_a_word_takes_the_opt_out_back(text: str, starts: bool) -> None:
    assert asks_to_start(text) is starts


@pytest.mark.parametrize("text", ["oi", "sim", "vamos começar?", "start me up", "quero começar um curso", ""])
def test_nothing_else_takes_it_back(text: str) -> None:
    assert not asks_to_start(text)


@pytest.mark.parametrize(
    "text",
    [
        "quero falar com um atendente",
        "Quero falar com uma pessoa!",
        "posso falar com alguém?",
        "preciso falar com um ser humano",
        "me passa pra um atendente",
        "me transfere para um humano, por favor",
        "pode me transferir pra uma pessoa de verdade?",
        "chama um atendente",
        "chame alguém da equipe, por favor",
        "Gostaria de conversar com um atendente",
        "atendente",
        "Atendente, por favor",
        "ATENDIMENTO HUMANO",
        "cadê o atendente?",
        "quero um humano",
        "tem alguém aí que eu possa falar? quero falar com uma pessoa",
        "não entendi nada, quero falar com um atendente",
        "isso não resolve. me passa para uma pessoa",
        "Não!\nquero falar com atendente",
        "quiero hablar con una persona",
        "necesito hablar con un asesor",
        "pásame con un agente",
        "I want to talk to a human",
        "can I speak with someone?",
        "connect me to an agent",
        "talk to a real person please",
        "human please",
        "this does not work, let me speak to a person",
    ],
)
def test_a_clear_wish_for_a_person_is_understood(text: str) -> None:
    assert asks_for_person(text)


@pytest.mark.parametrize(
    "text",
    [
        "oi",
        "quero dois pães",
        "não quero falar com atendente",
        "não precisa chamar ninguém, nem um atendente",
        "prefiro resolver sem falar com atendente",
        "não me passa para um atendente",
        "I don't want to talk to a person",
        "no quiero hablar con una persona",
        "transferi 50 reais para uma pessoa",
        "fiz uma transferência para outra pessoa",
        "pode transferir o horário para outra pessoa?",
        "me passa o telefone de uma pessoa da entrega",
        "quanto custa a passagem para uma pessoa?",
        "quanto é o passaporte por pessoa?",
        "como se chama a pessoa que me atendeu?",
        "a chamada do operador caiu",
        "qual o horário do atendente?",
        "o atendente foi ótimo",
        "can I get a table for one person?",
        "how do I get a cleaning agent?",
        "¿cómo se llama la persona que me atendió?",
        "pessoa física ou jurídica?",
        "uma mesa para uma pessoa",
        "passei mal ontem, alguém da família avisou",
        "",
    ],
)
def test_what_only_sounds_like_it_is_left_to_the_model(text: str) -> None:
    assert not asks_for_person(text)
