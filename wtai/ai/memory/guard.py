"""What is never kept as a fact, whoever asks: secrets, orders to the assistant, and what an assistant says when it refuses."""

import re
from enum import StrEnum
from typing import Final

from wtai.ai.memory.words import fold

MOST_CHARS: Final = 500


class Unfit(StrEnum):
    """Why a text is not kept."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    SECRET = "secret"  # noqa: S105 - the name of a reason
    INSTRUCTION = "instruction"
    REFUSAL = "refusal"


_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
_DIGITS = re.compile(r"\d(?:[ .-]?\d){12,18}")
_HIDDEN = (
    r"(?:senhas?|palavra[- ]passe|contrasenas?|clave de acceso|passwords?|passcode|passphrase|pin|cvv|cvc|"
    r"codigo de (?:seguranca|seguridad|verificacao|verificacion|acesso|acceso)|(?:security|verification|access) code|"
    r"(?:api|secret|access|private) key|chave (?:de api|secreta|de acesso|privada)|frase[- ]semente|seed phrase|token|otp)"
)
_SECRET_TOLD = re.compile(
    rf"\b{_HIDDEN}\b[^.!?\n]{{0,40}}?(?:[:=]|\b(?:eh|e|es|is|sao|son|are|para|pra|to)\b)\s*[\"'“«]?"
    r"(?=\S*[\d@#$%&*!_])\S{3,}"
    rf"|\b{_HIDDEN}\b\W{{0,3}}\S*\d\S{{2,}}"
    rf"|\b{_HIDDEN}\b[^.!?\n]{{0,40}}?[:=]\s*\S{{3,}}"
)
_KEY = re.compile(
    r"\bsk-[A-Za-z0-9_-]{16,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bAKIA[0-9A-Z]{16}\b|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|"
    r"\bxox[abp]-[A-Za-z0-9-]{10,}|-----BEGIN [A-Z ]*KEY|\b(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9_-]{32,}\b"
)
_ORDER = re.compile(
    r"\b(?:ignor[ea]r?|esquec[ea]|desconsider[ea]|desobedec[ea]|olvid[ae]|disregard|ignore|forget|override|bypass)\b.{0,40}"
    r"\b(?:instruc\w+|regras?|reglas?|orden\w*|ordens|prompts?|instructions?|rules?|restric\w+|guidelines|diretrizes)\b"
    r"|\b(?:voce|vc|tu|usted|o (?:assistente|bot|robo)|el (?:asistente|bot)|the (?:assistant|bot|ai|model)|you)\s+"
    r"(?:agora |now |ahora |sempre |always |siempre |nunca |never )?"
    r"(?:deve\w*|tem que|tem de|precisa|pode fazer|debe\w*|tiene que|must|should|shall|have to|are now|will now|e agora|"
    r"eres ahora)\b"
    r"|(?:^|[.!?;:,]\s*)(?:e |y |and )?(?:sempre|nunca|jamais|siempre|jamas|always|never)\s+"
    r"(?:responda|responde|diga|aprove|aprueb[ae]|confirm[ae]|execute|ejecut[ae]|transfira|transfier[ae]|pergunte|pregunt[ae]|"
    r"peca|pid[ae]|chame a ferramenta|use a ferramenta|answer|reply|approve|confirm|execute|transfer|ask (?:for|before)|"
    r"call the tool|use the tool|obey|obedeca|obedezca|recuse|rechac[ae]|rechaza|refuse)\b"
    r"|\b(?:sem|without|sin) (?:pedir|perguntar|asking|pedir|preguntar)\b.{0,20}\b(?:confirm\w*|permiss\w*|permis\w*)"
    r"|\b(?:system prompt|developer mode|modo desenvolvedor|jailbreak|prompt do sistema|prompt del sistema)\b"
    r"|(?:^|\s)(?:system|assistant|developer|tool)\s*:|<\|?\s*/?\s*(?:im_start|im_end|system|assistant|tool)\b|\[/?inst\]|</?s>"
    r"|\ba partir de agora,? (?:voce|vc|tu|aja|responda|finja)|\bfrom now on,? (?:you|act|respond|pretend)|"
    r"\bact as\b|\baja como\b|\bactua como\b|\bfinja (?:que|ser)\b|\bpretend to be\b"
)
_REFUSED = re.compile(
    r"\b(?:como (?:uma?|un) (?:ia|inteligencia artificial|modelo de l\w+|assistente virtual|asistente virtual)|"
    r"as an (?:ai|artificial intelligence|assistant|language model)|"
    r"(?:desculpe|sinto muito|lo siento|perdon|i'?m sorry|sorry),? (?:mas |pero |but )?"
    r"(?:nao|no|i) (?:posso|consigo|puedo|can'?t|cannot|am unable)|"
    r"nao posso (?:ajudar|atender|fornecer|fazer isso)|no puedo (?:ayudar|proporcionar|hacer eso)|"
    r"i (?:can'?t|cannot|am unable to) (?:help|assist|provide|do that|comply))\b"
)


def cleaned(text: str) -> str:
    """The text on one line, without what cannot be seen."""
    return " ".join(_INVISIBLE.sub(" ", text).split())


def unfit(text: str) -> Unfit | None:
    """Why this is not to be kept as a fact; None if it may."""
    if not any(letter.isalnum() for letter in text):
        return Unfit.EMPTY
    if len(text) > MOST_CHARS:
        return Unfit.TOO_LONG
    folded = fold(text)
    if _KEY.search(text) or _SECRET_TOLD.search(folded) or any(map(_is_card, _DIGITS.findall(text))):
        return Unfit.SECRET
    if _ORDER.search(folded):
        return Unfit.INSTRUCTION
    return Unfit.REFUSAL if _REFUSED.search(folded) else None


def _is_card(found: str) -> bool:
    """Luhn's check (ISO/IEC 7812-1, annex B), which the numbers of payment cards pass."""
    digits = [int(digit) for digit in found if digit.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
