"""Embeddings without a model: texts that share character trigrams point the same way. The same text gives the same vector."""

import base64
import math
import re
import sys
import unicodedata
import zlib
from array import array

_BREAKS = re.compile(r"\W+")
_LENGTH = 3


def embed(text: str, dimensions: int) -> list[float]:
    """A unit vector of hashed trigrams, case and accents folded (signed feature hashing)."""
    vector = [0.0] * dimensions
    folded = f"  {fold(text)}  "
    for at in range(len(folded) - _LENGTH + 1):
        hashed = zlib.crc32(folded[at : at + _LENGTH].encode())
        vector[hashed % dimensions] += 1.0 if hashed & 0x80000000 else -1.0
    norm = math.hypot(*vector)
    if norm == 0.0:
        vector[0], norm = 1.0, 1.0
    return [value / norm for value in vector]


def packed(vector: list[float]) -> str:
    """``encoding_format=base64``: little-endian 32-bit floats."""
    floats = array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return base64.b64encode(floats.tobytes()).decode()


def fold(text: str) -> str:
    """Lower case, without accents, words one space apart."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(letter))
    return _BREAKS.sub(" ", plain).strip()
