"""What an answer says that it did: found in three languages, and not found in offers, questions, conditions and denials."""

import re
import time

import pytest

from wtai.ai.tools.relationship_claims import CANCELED, FORGOTTEN, SAVED, SCHEDULED, STANDS


def _id(value: object) -> str:
    return value if isinstance(value, str) else ""


CLAIMED: list[tuple[re.Pattern[str], list[str]]] = [
    (
        SAVED,
        [
            "Anotei que a Ana gosta de orquídeas.",
            "Pronto, salvei o aniversário dela!",
            "Já guardei: 12 de março.",
            "Anotado! ✅",
            "✅ *Salvo*: Ana, 12/03.",
            "_Anotei_ aqui.",
            "O aniversário da Ana foi salvo.",
            "Aniversário salvo.",
            "Não se preocupe, anotei tudo.",
            "Acabei de anotar isso.",
            "Atualizei o contato da Ana.",
            "Anotei. Quer que eu te lembre no dia?",
            "Guardé el cumpleaños de Ana.",
            "Listo, anoté que le gustan las orquídeas.",
            "He guardado la nota.",
            "I've saved Ana's birthday.",
            "Noted!",
            "I have just added a note about her.",
            "Her birthday has been saved.",
        ],
    ),
    (
        SCHEDULED,
        [
            "Agendei o lembrete para amanhã às 9h.",
            "Lembrete criado para sexta-feira, 27/11, às 9h: ligar para a Ana.",
            "Seu lembrete está marcado.",
            "O lembrete foi criado.",
            "Pronto! Vou te lembrar amanhã às 9h.",
            "Combinado, te lembro na sexta.",
            "Pode deixar que vou te avisar às 9h.",
            "Mudei o lembrete para as 10h.",
            "Lembrete alterado.",
            "Programé el recordatorio.",
            "Recordatorio creado para el viernes.",
            "Listo, te recordaré mañana a las 9.",
            "I've set a reminder for tomorrow.",
            "Reminder set for Friday, 27 Nov, 09:00: call Ana.",
            "I'll remind you tomorrow at 9.",
            "Your reminder has been scheduled.",
        ],
    ),
    (STANDS, ["Seu lembrete está marcado para sexta.", "Sim, vou te lembrar às 9h.", "I will remind you on Friday."]),
    (
        CANCELED,
        [
            "Cancelei o lembrete da Ana.",
            "Lembrete cancelado.",
            "Removi o lembrete.",
            "Cancelé el recordatorio.",
            "I've cancelled it.",
        ],
    ),
    (FORGOTTEN, ["Apaguei a Ana e as anotações.", "Tudo apagado.", "Borré a Ana.", "I deleted Ana."]),
]
NOT_CLAIMED: list[tuple[re.Pattern[str], list[str]]] = [
    (
        SAVED,
        [
            "Posso anotar isso?",
            "Quer que eu anote?",
            "Quer que eu salve o aniversário dela?",
            "Não salvei nada ainda.",
            "Ainda não anotei o aniversário.",
            "Para salvar, preciso da data.",
            "O aniversário não foi salvo.",
            "Nada foi salvo.",
            "Anotei certo?",
            "Vou precisar da data para anotar.",
            "No guardé nada.",
            "¿Quieres que lo anote?",
            "No lo he guardado.",
            "I have not saved it.",
            "I can save it for you.",
            "Shall I note that?",
            "Once I have saved it you can ask me.",
            "It was not saved.",
            "A Ana gosta de orquídeas.",
        ],
    ),
    (
        SCHEDULED,
        [
            "Posso te lembrar amanhã?",
            "Quer que eu crie um lembrete?",
            "Quer um lembrete para esse dia?",
            "Se quiser, te lembro na sexta.",
            "Não agendei nenhum lembrete.",
            "O lembrete não foi criado.",
            "Nenhum lembrete foi criado.",
            "Não consigo criar o lembrete nessa hora.",
            "Você não tem lembretes.",
            "Me diga a hora para eu agendar.",
            "Não vou te lembrar disso.",
            "¿Quieres que te lo recuerde?",
            "No programé ningún recordatorio.",
            "Si quieres, te recuerdo el viernes.",
            "I could not set the reminder.",
            "Should I set a reminder?",
            "No reminder was created.",
            "If you like, I'll remind you on Friday.",
        ],
    ),
    (CANCELED, ["Quer que eu cancele o lembrete?", "Não cancelei nada.", "Qual lembrete cancelo?", "I did not cancel it."]),
    (FORGOTTEN, ["Quer que eu apague a Ana?", "Não apaguei ninguém.", "Nada foi apagado.", "I can't delete her."]),
]


@pytest.mark.parametrize(("pattern", "text"), [(pattern, text) for pattern, texts in CLAIMED for text in texts], ids=_id)
def test_a_claim_is_found(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)
    assert pattern.search(f"Oi!\n\n{text}")


@pytest.mark.parametrize(("pattern", "text"), [(pattern, text) for pattern, texts in NOT_CLAIMED for text in texts], ids=_id)
def test_an_offer_a_question_or_a_denial_is_no_claim(pattern: re.Pattern[str], text: str) -> None:
    assert not pattern.search(text)


@pytest.mark.parametrize("text", ["não " * 1_000, "a" * 4_000, "o lembrete " * 400, "foi x " * 700, "!" * 4_000, ", " * 2_000])
def test_a_long_answer_is_read_quickly(text: str) -> None:
    started = time.perf_counter()
    for pattern in (SAVED, FORGOTTEN, STANDS, SCHEDULED, CANCELED):
        pattern.search(text)
    assert time.perf_counter() - started < 5
