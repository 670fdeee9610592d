"""The words with which an answer says that it saved, forgot, scheduled or cancelled, in Portuguese, Spanish and English.

An offer, a condition, a question or a denial is no claim: "posso anotar", "se quiser, te lembro", "anotei certo?", "não salvei".
"""

import re
from dataclasses import dataclass
from typing import Final

_FROM: Final = r"(?<![^\W_])"
_TO: Final = r"(?![^\W_])"
"""Borders of a word to which WhatsApp's _italics_ do not belong."""

_BREAK: Final = r"[.!?;,\n]"
_START: Final = rf"(?:\A|(?<={_BREAK})|(?<=\s[eyY—–-]\s)|(?<=\smas\s)|(?<=\sand\s)|(?<=\sbut\s)|(?<=\spero\s)|(?<=:\s))"
_OFFERED: Final = (
    r"(?<!se quiser,)(?<!se preferir,)(?<!se você quiser,)(?<!se desejar,)(?<!si quieres,)(?<!si prefieres,)"
    r"(?<!if you want,)(?<!if you like,)(?<!if you wish,)"
)
_NO_QUESTION: Final = r"(?![^.!?;,\n]*\?)"
_DENIED: Final = (
    r"n[ãa]o|nunca|nem|sem|nada|nenhuma?|se|quando|caso|depois|antes|posso|quer|quiser|para que|"
    r"si|cuando|sin|ni|jam[áa]s|ning[úu]na?|puedo|"
    r"not|never|nothing|if|when|once|unless|until|would|can|could|should|cannot|had|\w+n['’]t"
)
_DENIED_ES: Final = rf"no|{_DENIED}"
_AUXILIARIES: Final = (
    r"(?:foi|foram|est[áa]|est[ãa]o|t[áa]|ficou|ficaram|fue|fueron|qued[óo]|quedaron|est[áa]n|ha sido|han sido|"
    r"(?:has|have) been|was|were|is|are)"
)
_AUXILIARY: Final = rf"{_AUXILIARIES}(?:\s(?!(?:{_DENIED_ES}){_TO})\w+){{0,2}}?\s"
_ARTICLE: Final = r"(?:(?:o|a|el|la|the|seu|sua|tu|your|nov[oa]|nuevo|new)\s)*"
_I: Final = r"(?:i|we)(?:\s(?:have|just|now|already)|['’]ve)*(?:\s(?:just|now|already|successfully))*"


@dataclass(frozen=True, slots=True)
class _Verbs:
    """The verbs of one claim, as alternatives of a pattern. ``said`` are further forms that claim it in any clause."""

    portuguese: str
    spanish: str
    english: str
    participles: str
    infinitives: str
    nouns: str
    said: str | None = None


def _claim(verbs: _Verbs) -> re.Pattern[str]:
    participle = rf"(?:{verbs.participles})"
    forms = [
        _told(_DENIED, rf"(?:{verbs.portuguese}|(?:acabei|acabo) de (?:{verbs.infinitives})|{_I}\s(?:{verbs.english}))"),
        _told(_DENIED_ES, rf"(?:{verbs.spanish}|(?:he|hemos)\s{participle})"),
        _told(_DENIED_ES, _AUXILIARY + participle),
        rf"{_START}[\W_]{{0,20}}(?:j[áa]\s|ya\s|tudo\s|todo\s|all\s)?{participle}{_TO}{_NO_QUESTION}",
        rf"{_START}[\W_]{{0,20}}{_ARTICLE}(?:{verbs.nouns}){_TO}{_clause(_DENIED_ES, 60)}{_FROM}{participle}{_TO}{_NO_QUESTION}",
    ]
    if verbs.said is not None:
        forms.append(_told(_DENIED_ES, rf"(?:{verbs.said})"))
    return re.compile("|".join(f"(?:{form})" for form in forms), re.IGNORECASE)


def _told(denied: str, said: str) -> str:
    """``said`` in a clause that did not deny or offer it before, and that does not ask."""
    return rf"{_START}{_OFFERED}{_clause(denied, 200)}{_FROM}{said}{_TO}{_NO_QUESTION}"


def _clause(denied: str, length: int) -> str:
    return rf"(?:(?!{_FROM}(?:{denied}){_TO})(?!{_BREAK}).){{0,{length}}}?"


_WILL_REMIND: Final = (
    r"(?:vou|irei) (?:te |lhe |o |a )?(?:lembrar|avisar)|(?:te|lhe) lembro|lembro (?:voc[êe])|te lembrarei|lembrarei|"
    r"te (?:lo )?(?:recordar[ée]|recuerdo|avisar[ée])|(?:voy|vamos) a (?:recordar|avisar)(?:te|le)?(?:lo)?|"
    r"(?:i|we)(?:['’]ll| will| am going to|['’]m going to) (?:remind|ping|alert) you"
)

SAVED: Final = _claim(
    _Verbs(
        portuguese="anotei|salvei|guardei|registrei|registei|adicionei|incluí|cadastrei|atualizei|corrigi|coloquei|alterei|mudei",
        spanish="anoté|guardé|apunté|registré|agregué|añadí|actualicé|corregí|cambié",
        english="saved|noted|recorded|added|stored|updated|kept|logged|changed|corrected|wrote down|written down|made a note",
        participles="anotad[oa]s?|salv[oa]s?|guardad[oa]s?|registrad[oa]s?|adicionad[oa]s?|cadastrad[oa]s?|atualizad[oa]s?|"
        "apuntad[oa]s?|agregad[oa]s?|añadid[oa]s?|actualizad[oa]s?|saved|noted|recorded|added|stored|updated",
        infinitives="anotar|salvar|guardar|registrar|adicionar|cadastrar|atualizar|apuntar|agregar|añadir|actualizar",
        nouns="anivers[áa]rio|nota|anota[çc][ãa]o|contato|pessoa|cumplea[ñn]os|persona|contacto|birthday|note|person|contact",
    )
)
"""That something about a person was kept."""

FORGOTTEN: Final = _claim(
    _Verbs(
        portuguese="apaguei|excluí|removi|deletei|eliminei|esqueci",
        spanish="borré|eliminé|quité|olvidé",
        english="deleted|removed|erased|forgot|forgotten",
        participles="apagad[oa]s?|excluíd[oa]s?|removid[oa]s?|deletad[oa]s?|eliminad[oa]s?|borrad[oa]s?|deleted|removed|erased",
        infinitives="apagar|excluir|remover|deletar|eliminar|borrar",
        nouns="pessoa|contato|dados|persona|contacto|datos|person|contact|data",
    )
)
"""That a person was forgotten."""

STANDS: Final = re.compile(
    _told(_DENIED_ES, f"(?:{_WILL_REMIND})")
    + "|"
    + _told(_DENIED_ES, _AUXILIARY + r"(?:(?:agendad|marcad|programad)[oa]s?|set|scheduled)"),
    re.IGNORECASE,
)
"""That a reminder is to come: who has just looked may say so, too."""

SCHEDULED: Final = _claim(
    _Verbs(
        portuguese="agendei|marquei|programei|criei|configurei|coloquei|anotei|reagendei|remarquei|adiei|antecipei|mudei|alterei|"
        "atualizei|ajustei|corrigi|troquei|registrei|salvei|adicionei",
        spanish="agendé|programé|creé|puse|configuré|anoté|reprogramé|cambié|actualicé|ajusté|corregí|moví|guardé|agregué|registré",
        english="set|scheduled|created|rescheduled|moved|changed|updated|added|saved|noted|put|postponed",
        participles="agendad[oa]s?|marcad[oa]s?|programad[oa]s?|criad[oa]s?|configurad[oa]s?|anotad[oa]s?|reagendad[oa]s?|"
        "remarcad[oa]s?|adiad[oa]s?|alterad[oa]s?|atualizad[oa]s?|mudad[oa]s?|cread[oa]s?|reprogramad[oa]s?|cambiad[oa]s?|"
        "actualizad[oa]s?|set|scheduled|created|rescheduled|changed|updated|registrad[oa]s?|salv[oa]s?|guardad[oa]s?|saved|noted",
        infinitives="agendar|marcar|programar|criar|configurar|anotar|reagendar|mudar|alterar|crear|poner|cambiar",
        nouns="lembrete|alarme|aviso|recordatorio|alarma|reminder|alert",
        said=_WILL_REMIND,
    )
)
"""That a reminder was made, or moved to another time."""

CANCELED: Final = _claim(
    _Verbs(
        portuguese="cancelei|removi|apaguei|excluí|deletei|eliminei|tirei|desmarquei|desativei",
        spanish="cancelé|eliminé|borré|quité|desactivé",
        english="cancell?ed|removed|deleted|turned off|stopped",
        participles="cancelad[oa]s?|removid[oa]s?|apagad[oa]s?|excluíd[oa]s?|desmarcad[oa]s?|eliminad[oa]s?|borrad[oa]s?|"
        "cancell?ed|removed|deleted",
        infinitives="cancelar|remover|apagar|excluir|desmarcar|eliminar|borrar",
        nouns="lembrete|alarme|aviso|recordatorio|alarma|reminder|alert",
    )
)
"""That a reminder will not come."""
