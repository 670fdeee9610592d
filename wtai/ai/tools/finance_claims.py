"""The words with which an answer says that something was booked, changed or deleted, in Portuguese, Spanish and English.

An offer, a question, a condition or a denial of the same verb is no claim: "posso registrar", "quer que eu registre",
"não registrei", "ainda não foi registrada". Nor is a statement's attribute: "as despesas registradas em maio".
"""

import re
from dataclasses import dataclass
from typing import Final

_FROM: Final = r"(?<![^\W_])"
_TO: Final = r"(?![^\W_])"
"""Borders of a word for which WhatsApp's _italics_ are no part of it."""

_START: Final = r"(?:\A|(?<=[!?;:,\n])|(?<=[.)]\s)|(?<=\s[eyY—–-]\s)|(?<=\smas\s)|(?<=\spero\s)|(?<=\sand\s)|(?<=\sbut\s))"
_MARKS: Final = r"(?:[^\w\n]|_){0,8}"
_BREAK: Final = r"[!?;\n]|\.(?!\d)"
_NO_QUESTION: Final = r"(?!(?:[^.!?\n]|\.(?=\d))*\?)"

_DENIED_PT: Final = (
    r"n[ãa]o|nunca|jamais|nem|sem|nada|nenhuma?|se|quando|caso|depois|antes|para|pra|que|tinha|havia|[úu]ltim[oa]|"
    r"ser|ser[áa]|seria|for|fosse|fique|pode|poder[áa]|precisa|deve|vai|vou|puede|debe|"
    r"no (?:fue|ha|he|lo|la|est[áa]|hay|se|qued[óo])|si|cuando|sin|ning[úu]na?|despu[ée]s"
)
_DENIED_ES: Final = r"no|nunca|jam[áa]s|ni|sin|nada|ning[úu]na?|si|cuando|despu[ée]s|antes|para|que"
_DENIED_EN: Final = (
    r"not|never|nothing|none|no|if|when|once|unless|until|would|can|could|should|will|cannot|to|that|which|had|\w+n['’]t"
)

_NOUN: Final = (
    r"despesa|gasto|receita|lan[çc]amento|entrada|sa[íi]da|compra|pagamento|sal[áa]rio|valor|registro|ganho|categoria|data|"
    r"descri[çc][ãa]o|ingreso|pago|sueldo|fecha|monto|importe|categor[íi]a|descripci[óo]n|"
    r"expense|income|purchase|payment|salary|entry|amount|category|date|description|"
    r"(?:-?\s?(?:R|US)?[$€£]\s?\d[\d.,]*)"
)
_WITH_NOUN: Final = rf"(?=(?:(?!{_BREAK}).){{0,80}}?(?<![^\W_])(?:(?:{_NOUN})s?(?![^\W_])|[$€£]))"
_ARTICLE: Final = r"(?:(?:a|o|as|os|sua|seu|essa|esse|esta|este|el|la|tu|su|the|your|this)\s)?(?:nov[oa]\s|new\s)?"
_ALREADY: Final = r"(?:j[áa]\s|ya\s|tudo\s|todo\s|all\s)?"
_AUXILIARY: Final = (
    r"(?:foi|foram|est[áa]|est[ãa]o|t[áa]|ficou|ficaram|fue|fueron|qued[óo]|quedaron|est[áa]n|ha sido|han sido|"
    r"(?:has|have) been|was|were|is now|are now|['’]s been)"
)
_DONE: Final = r"(?:feit[oa]|conclu[íi]d[oa]|realizad[oa]|efetuad[oa]|hech[oa]|complet[oa]|done|complete)"
_I: Final = r"(?:i|we)(?:\s(?:have|just|now|already)|['’]ve)*(?:\s(?:just|now|already|successfully))*"


@dataclass(frozen=True, slots=True)
class _Words:
    """The verbs of one claim, as alternatives of a pattern. ``loose`` ones say it only together with a noun of money."""

    portuguese: str
    spanish: str
    english: str
    participles: str
    infinitives: str
    nouns: str
    loose: str | None = None
    loose_participles: str | None = None


def _claim(words: _Words) -> re.Pattern[str]:
    """Every form in which ``words`` say that it was done."""
    participle = rf"{_FROM}(?:{words.participles}){_TO}"
    any_participle = f"(?:{participle}|{_FROM}(?:{words.loose_participles}){_TO})" if words.loose_participles else participle
    forms = [
        _told(_DENIED_PT, rf"(?:{words.portuguese}|acabei de (?:{words.infinitives})|fiz (?:\w+\s)?(?:{words.nouns}))"),
        _told(
            _DENIED_ES,
            rf"(?:{words.spanish}|acabo de (?:{words.infinitives})|hice (?:\w+\s)?(?:{words.nouns})"
            rf"|(?:he|hemos)\s(?:{words.participles}))",
        ),
        _told(_DENIED_EN, rf"{_I}\s(?:{words.english})"),
        _told(f"{_DENIED_PT}|{_DENIED_EN}", rf"{_AUXILIARY}(?:\s\w+){{0,2}}?\s{participle}", end=_NO_QUESTION),
        rf"{_START}{_MARKS}{_ALREADY}{participle}(?!\s(?:em|el|on)\s\d){_NO_QUESTION}",
        rf"{_START}{_MARKS}{_ARTICLE}(?:{_NOUN}){_TO}{_rest(80)}{any_participle}{_NO_QUESTION}",
        rf"{_START}{_MARKS}{_ARTICLE}(?:{words.nouns}){_TO}{_rest(60)}{_FROM}{_DONE}{_TO}{_NO_QUESTION}",
    ]
    if words.loose is not None:
        forms.append(_told(_DENIED_PT, f"(?:{words.loose})", end=_WITH_NOUN))
    return re.compile("|".join(f"(?:{form})" for form in forms), re.IGNORECASE)


def _rest(length: int) -> str:
    """Up to so many characters of the same clause, without a word that denies or attributes."""
    return rf"(?:(?!{_FROM}(?:{_DENIED_PT}|{_DENIED_EN}){_TO})(?!{_BREAK}).){{0,{length}}}?"


def _told(denied: str, said: str, *, end: str = "") -> str:
    """``said``, unless its clause denied it before. A comma begins another clause, and keeps the search linear."""
    return rf"{_START}(?:(?!{_FROM}(?:{denied}){_TO})(?![,:]|{_BREAK}).){{0,80}}?{_FROM}{said}{_TO}{end}"


ADDED: Final = _claim(
    _Words(
        portuguese="registrei|registei|anotei|lancei|contabilizei|debitei|creditei",
        spanish="registré|anoté|apunté|asenté|ingresé",
        english="recorded|logged|noted|booked|registered|entered|added|saved|tracked",
        participles="registrad[oa]s?|registad[oa]s?|anotad[oa]s?|lançad[oa]s?|contabilizad[oa]s?|apuntad[oa]s?|asentad[oa]s?|"
        "recorded|logged|noted|booked|registered",
        infinitives="registrar|registar|anotar|lançar|contabilizar|adicionar|incluir|apuntar|agregar|añadir",
        nouns="registro|registo|lançamento|anotação|inclusão|anotación|apunte",
        loose="salvei|guardei|coloquei|cadastrei|adicionei|incluí|agregué|añadí|guardé|cargué|sumé",
        loose_participles="adicionad[oa]s?|incluíd[oa]s?|salv[oa]s?|cadastrad[oa]s?|agregad[oa]s?|añadid[oa]s?|guardad[oa]s?|"
        "added|saved|entered",
    )
)
"""That an income or expense was booked."""

EDITED: Final = _claim(
    _Words(
        portuguese="corrigi|alterei|atualizei|editei|mudei|ajustei|modifiquei|troquei",
        spanish="corregí|cambié|actualicé|edité|modifiqué|ajusté",
        english="corrected|changed|updated|edited|fixed|adjusted|modified|moved",
        participles="corrigid[oa]s?|alterad[oa]s?|editad[oa]s?|corregid[oa]s?|modificad[oa]s?|corrected|edited|modified",
        infinitives="corrigir|alterar|atualizar|editar|mudar|ajustar|corregir|cambiar|actualizar|modificar",
        nouns="correção|alteração|mudança|atualização|edição|ajuste|corrección|modificación",
        loose_participles="atualizad[oa]s?|ajustad[oa]s?|mudad[oa]s?|trocad[oa]s?|actualizad[oa]s?|cambiad[oa]s?|"
        "updated|changed|fixed|adjusted",
    )
)
"""That an entry was changed."""

DELETED: Final = _claim(
    _Words(
        portuguese="apaguei|excluí|removi|deletei|eliminei",
        spanish="borré|eliminé|quité",
        english="deleted|removed|erased|cleared",
        participles="apagad[oa]s?|excluíd[oa]s?|removid[oa]s?|deletad[oa]s?|eliminad[oa]s?|borrad[oa]s?|deleted|removed|erased",
        infinitives="apagar|excluir|remover|deletar|eliminar|borrar",
        nouns="exclusão|remoção|eliminación",
        loose="cancelei|tirei|desfiz|estornei|cancelé|deshice",
    )
)
"""That entries were deleted."""
