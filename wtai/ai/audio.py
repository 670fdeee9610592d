"""How long recordings are, told from their bytes alone. Ogg: RFC 3533; Opus: RFC 6716, section 3; Opus in Ogg: RFC 7845."""

from collections.abc import Iterator
from math import ceil
from typing import Final

_RATE: Final = 48_000
_PAGE: Final = b"OggS"
_PAGE_HEADER: Final = 27
_CONTINUED: Final = 1
_WHOLE_SEGMENT: Final = 255
_HEADERS: Final = b"Opus"
"""How the two packets begin that hold no sound. As one of sound it would be too long to be any."""

_LONGEST_PACKET: Final = 5_760
_SILK: Final = (480, 960, 1_920, 2_880)
_HYBRID: Final = (480, 960)
_CELT: Final = (120, 240, 480, 960)
_FRAME: Final = (*_SILK * 3, *_HYBRID * 2, *_CELT * 4)
"""Samples of a frame, by the configuration in the first byte of its packet."""

_SLOWEST_BYTES: Final = 500
"""Of a second, 4 kbit/s: less than any codec takes that phones record speech with."""


def seconds(audio: bytes) -> float | None:
    """How long an Ogg/Opus file is; None for any other, and where its end does not tell.

    The granule position of the last page counts samples at 48 kHz, with those to be skipped at the start (RFC 7845, section 4).
    """
    head = audio.find(b"OpusHead", 0, 512)
    if not audio.startswith(_PAGE) or head < 0 or len(audio) < head + 12:
        return None
    skipped = int.from_bytes(audio[head + 10 : head + 12], "little")
    page = len(audio)
    while (page := audio.rfind(_PAGE, 0, page)) >= 0:
        if len(audio) < page + 14 or audio[page + 4] != 0:
            continue
        granule = int.from_bytes(audio[page + 6 : page + 14], "little", signed=True)
        if granule >= 0:  # -1: no packet ends on this page
            return max(0.0, (granule - skipped) / _RATE)
    return None


def most_seconds(audio: bytes) -> int:
    """Whole seconds that listening to the file takes at most: of Ogg/Opus what all packets hold, whatever the pages claim; of any
    other file, what it would be at 4 kbit/s.

    Up to two seconds of work for the largest file that somebody could make for that.
    """
    if seconds(audio) is None:
        return ceil(len(audio) / _SLOWEST_BYTES)
    return ceil(sum(_samples(audio, start, length) for start, length in _packets(audio)) / _RATE)


def _packets(audio: bytes) -> Iterator[tuple[int, int]]:
    """Where each packet begins, and its length on that page. The rest of one that began on the page before does not count again;
    without that page nobody could use it.
    """
    page = -1
    # Wherever a page may begin, for what lies inside another one's content is read by those who find that one broken.
    while (page := audio.find(_PAGE, page + 1)) >= 0:
        if len(audio) < page + _PAGE_HEADER:
            return
        table = audio[page + _PAGE_HEADER : page + _PAGE_HEADER + audio[page + _PAGE_HEADER - 1]]
        start = page + _PAGE_HEADER + len(table)
        begins = not audio[page + 5] & _CONTINUED
        length = 0
        for segment in table:
            length += segment
            if segment < _WHOLE_SEGMENT:
                if begins:
                    yield start, length
                start, length, begins = start + length, 0, True
        if length and begins:
            yield start, length


def _samples(audio: bytes, start: int, length: int) -> int:
    packet = audio[start : start + min(length, len(_HEADERS))]
    if packet == _HEADERS:
        return 0
    if not packet:
        return _LONGEST_PACKET
    frame = _FRAME[packet[0] >> 3]
    match packet[0] & 3:
        case 0:
            return frame
        case 1 | 2:
            return min(2 * frame, _LONGEST_PACKET)
        case _:
            return min((packet[1] & 63) * frame, _LONGEST_PACKET) if len(packet) > 1 else _LONGEST_PACKET
