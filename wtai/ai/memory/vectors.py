"""Vectors as the database keeps them: of length one, in 8-bit steps."""

import math
from array import array
from collections.abc import Sequence
from typing import Final

SCALE: Final = 256
"""Steps to the one. A component beyond ±127 steps is cut: only vectors of a handful of components have such ones."""

_LARGEST: Final = 127


def packed(values: Sequence[float]) -> bytes:
    """The vector as bytes for sqlite-vec's ``vec_int8``. A quarter of its floats' size, and scanned four times as fast.

    ValueError if it holds NaN or an infinity, or has no direction.
    """
    norm = math.hypot(*values)
    if not math.isfinite(norm):
        raise ValueError("a vector holds NaN or an infinity")
    if norm == 0:
        raise ValueError("a vector has no direction")
    scale = SCALE / norm
    return array("b", [max(-_LARGEST, min(_LARGEST, round(value * scale))) for value in values]).tobytes()
