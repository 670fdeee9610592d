"""What wtai itself says to a person, in the owner's language, unless the owner has words of its own."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one language."""

    farewell: str
    may_close: str
    handoff: str
    away: str
    failed: str
    timed_out: str
    opted_in: str
    unheard: str
    at_limit: str


TEXTS: Final = {
    "pt-BR": Texts(
        farewell="Foi um prazer ajudar! Quando precisar, é só chamar. 👋",
        may_close="De nada! Posso encerrar o atendimento?",
        handoff="Certo! Vou chamar uma pessoa da equipe. Em instantes alguém continua com você por aqui.",
        away="Certo! Registrei o seu pedido para a equipe. Agora estamos fora do horário de atendimento; "
        "uma pessoa responde por aqui assim que voltarmos.",
        failed="Desculpe, não consegui responder agora. Chamei uma pessoa da equipe, que continua com você por aqui.",
        timed_out="Como não tivemos resposta, encerramos este atendimento. Se precisar, é só escrever de novo.",
        opted_in="Pronto, você voltou a receber nossas mensagens. Como posso ajudar?",
        unheard="Não consegui ouvir o seu áudio. Pode escrever para mim, por favor?",
        at_limit="No momento não consigo responder por aqui. Por favor, tente de novo mais tarde.",
    ),
    "es": Texts(
        farewell="¡Fue un gusto ayudarte! Cuando lo necesites, escríbenos. 👋",
        may_close="¡De nada! ¿Puedo cerrar la conversación?",
        handoff="¡De acuerdo! Voy a llamar a una persona del equipo. En unos instantes alguien sigue contigo por aquí.",
        away="¡De acuerdo! Anoté tu pedido para el equipo. Ahora estamos fuera del horario de atención; "
        "una persona te responde por aquí en cuanto volvamos.",
        failed="Disculpa, no pude responder ahora. Llamé a una persona del equipo, que sigue contigo por aquí.",
        timed_out="Como no tuvimos respuesta, cerramos esta conversación. Si lo necesitas, escríbenos de nuevo.",
        opted_in="Listo, vuelves a recibir nuestros mensajes. ¿En qué puedo ayudarte?",
        unheard="No pude escuchar tu audio. ¿Me lo puedes escribir, por favor?",
        at_limit="En este momento no puedo responder por aquí. Por favor, inténtalo más tarde.",
    ),
    "en": Texts(
        farewell="It was a pleasure to help! Write whenever you need us. 👋",
        may_close="You're welcome! May I close this conversation?",
        handoff="All right! I am calling a person from our team. Someone will go on with you here in a moment.",
        away="All right! I noted your request for the team. We are outside our opening hours now; "
        "a person will answer you here as soon as we are back.",
        failed="Sorry, I could not answer right now. I called a person from our team, who will go on with you here.",
        timed_out="As we did not hear from you, we closed this conversation. Just write again if you need us.",
        opted_in="Done, you receive our messages again. How can I help?",
        unheard="I could not hear your voice message. Could you write it to me, please?",
        at_limit="I cannot answer here at the moment. Please try again later.",
    ),
}


def texts(locale: str) -> Texts:
    """The texts of an owner's language."""
    return TEXTS[locale]
