"""What the person reads when the model could not answer. Languages: pt (the default), es, en."""

_APOLOGY = {
    "pt": "Desculpe, não consegui responder agora. Pode tentar de novo daqui a pouco?",
    "es": "Disculpa, no pude responder ahora. ¿Puedes intentarlo de nuevo en un momento?",
    "en": "Sorry, I could not answer right now. Could you try again in a little while?",
}


def apology(language: str) -> str:
    """The fallback text in the language of a tag such as ``pt-BR`` or ``es``; Portuguese for a language without its own."""
    return _APOLOGY.get(language.partition("-")[0].lower(), _APOLOGY["pt"])
