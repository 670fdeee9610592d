"""Voice notes for the simulator: a valid OGG/Opus file of silence that carries, in its comment header, what was 'said'.

Layout of pages and checksum: RFC 3533; Opus in Ogg, its two headers and the granule position at 48 kHz: RFC 7845.
"""

import struct

SAMPLE_RATE = 48_000
_FRAME_SAMPLES = 960
# A 20 ms full-band CELT frame that decodes to silence.
_SILENT_FRAME = b"\xf8\xff\xfe"
_MAX_SEGMENTS = 255
_SERIAL = 0x77746169
_SPOKEN = b"SPOKEN="
_BEGIN, _END = 0x02, 0x04


def voice_note(spoken: str, *, seconds: float = 2.0) -> bytes:
    """An ``audio/ogg`` file of ``seconds`` of silence from which :func:`spoken_text` reads ``spoken`` back."""
    frames = max(1, round(seconds * SAMPLE_RATE / _FRAME_SAMPLES))
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, SAMPLE_RATE, 0, 0)
    vendor, comment = b"wtai", _SPOKEN + spoken.encode()
    tags = b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<II", 1, len(comment)) + comment
    pages = [_page([head], 0, 0, _BEGIN), _page([tags], 0, 1, 0)]
    for first in range(0, frames, _MAX_SEGMENTS):
        count = min(_MAX_SEGMENTS, frames - first)
        last = first + count == frames
        granule = (first + count) * _FRAME_SAMPLES
        pages.append(_page([_SILENT_FRAME] * count, granule, len(pages), _END if last else 0))
    return b"".join(pages)


def spoken_text(audio: bytes) -> str | None:
    """What a file made by :func:`voice_note` 'says'; None for any other audio."""
    tags = audio.find(b"OpusTags")
    at = audio.find(_SPOKEN, tags)
    if tags < 0 or at < 4:
        return None
    (length,) = struct.unpack_from("<I", audio, at - 4)
    return audio[at + len(_SPOKEN) : at + length].decode(errors="replace")


def _page(packets: list[bytes], granule: int, sequence: int, flags: int) -> bytes:
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    if len(lacing) > _MAX_SEGMENTS:
        raise ValueError("an OGG page holds 255 segments: say something shorter (about 60,000 bytes)")
    header = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, _SERIAL, sequence, 0, len(lacing))
    page = bytearray(header + lacing + b"".join(packets))
    struct.pack_into("<I", page, 22, _crc(page))
    return bytes(page)


def _crc(data: bytes | bytearray) -> int:
    """CRC-32 with polynomial 0x04c11db7, not reflected, start and final value 0 (RFC 3533, section 6)."""
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFFFFFF) ^ _CRC_TABLE[value >> 24 ^ byte]
    return value


def _crc_entry(byte: int) -> int:
    value = byte << 24
    for _ in range(8):
        value = (value << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if value & 0x80000000 else value << 1
    return value


_CRC_TABLE = tuple(_crc_entry(byte) for byte in range(256))
