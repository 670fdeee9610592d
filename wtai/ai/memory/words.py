"""Words of short chat messages in Portuguese, Spanish and English: folded, cut, and reduced to stems that inflections share."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")
_GROUPED: Final = re.compile(r"(?<=\d)[.](?=\d{3}(?!\d))")
_CENTS: Final = re.compile(r"(?<=\d)[.,]00(?!\d)")
_WIFI: Final = re.compile(r"\bwi[\s-]?fi\b")
_LONGEST_WORD: Final = 40
_MOST_CHARS: Final = 4_000

_PLURALS: Final = (
    ("coes", "cao"),
    ("ciones", "cion"),
    ("oes", "ao"),
    ("aes", "ao"),
    ("ais", "al"),
    ("eis", "el"),
    ("ois", "ol"),
    ("res", "r"),
    ("zes", "z"),
    ("les", "l"),
    ("ns", "m"),
    ("s", ""),
)
_DERIVED: Final = ("mente", "zinhos", "zinhas", "zinho", "zinha", "inhos", "inhas", "inho", "inha", "itos", "itas", "ito", "ita")
_VERBAL: Final = (
    "avamos", "iamos", "assem", "essem", "issem", "ariam", "eriam", "iriam", "aremos", "iendo", "aram", "eram", "iram",
    "avam", "ando", "endo", "indo", "ados", "adas", "idos", "idas", "amos", "amo", "emos", "emo", "imos", "imo", "aria",
    "eria", "iria", "arei", "erei", "irei", "aban", "aste", "este", "iste", "asse", "esse", "isse", "aron", "eron", "ado",
    "ada", "ido", "ida", "ava", "aba", "ara", "era", "ira", "ing", "iam", "ian", "ou", "ei", "eu", "iu", "ar", "er", "ir",
    "ed", "io", "ia", "am", "em", "an", "en",
)  # fmt: skip
_LEAST_STEM: Final = 3


def fold(text: str) -> str:
    """Lower case, without accents, and amounts in one form: ``R$ 1.450,00`` reads ``r$ 1450``. Cut at some thousand letters."""
    decomposed = unicodedata.normalize("NFKD", text[:_MOST_CHARS].casefold())
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return _WIFI.sub("wifi", _CENTS.sub("", _GROUPED.sub("", plain)))


def words(folded: str) -> list[str]:
    """The words and numbers of a folded text, in order."""
    return [word[:_LONGEST_WORD] for word in _WORD.findall(folded)]


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """What the inflections of a folded word share, roughly: number, gender, diminutive and the common endings of verbs go.

    It joins too much rather than too little; rarer words weigh more, which makes up for it.
    """
    if len(word) <= _LEAST_STEM or word.isdigit():
        return word
    root = _without_plural(word)
    root = _without(root, _DERIVED, least=4)
    root = _without(root, _VERBAL, least=_LEAST_STEM)
    while len(root) > _LEAST_STEM and root[-1] in "aeio":
        root = root[:-1]
    return root


def grams(word: str) -> list[str]:
    """The trigrams of a folded word, its beginning marked with a zero."""
    marked = f"0{word}"
    return [marked[at : at + 3] for at in range(len(marked) - 2)]


def _without_plural(word: str) -> str:
    for ending, singular in _PLURALS:
        if word.endswith(ending) and len(word) - len(ending) + len(singular) >= _LEAST_STEM:
            return word[: len(word) - len(ending)] + singular
    return word


def _without(word: str, endings: tuple[str, ...], *, least: int) -> str:
    for ending in endings:
        if word.endswith(ending) and len(word) - len(ending) >= least:
            return word[: len(word) - len(ending)]
    return word
