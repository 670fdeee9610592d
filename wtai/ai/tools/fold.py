"""Words compared as people mean them: "Alimentação" and "alimentacao" are one."""

import unicodedata


def fold(text: str) -> str:
    """Lower case, without accents, with single blanks."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(letter))
    return " ".join(plain.split())
