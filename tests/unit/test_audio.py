"""How long a recording is, and what nobody can make it longer than."""

import struct

import pytest

from wtai.ai.audio import most_seconds, seconds
from wtai.simulator.voice import voice_note

NOTE = voice_note("oi")


@pytest.mark.parametrize("length", [0.02, 0.98, 1.0, 7.5, 63.0])
def test_the_length_of_an_opus_file_is_read_from_its_last_page(length: float) -> None:
    assert seconds(voice_note("oi", seconds=length)) == pytest.approx(length, abs=0.02)


@pytest.mark.parametrize(
    "audio",
    [b"", b"ID3\x04mp3", b"OggS", b"OggS" + bytes(40), NOTE[:40], b"OggS" + bytes(24) + b"OpusHead" + bytes(4)],
)
def test_the_length_of_what_is_no_whole_opus_file_is_unknown_or_nothing(audio: bytes) -> None:
    assert not seconds(audio)


def test_a_page_on_which_no_packet_ends_does_not_tell_the_length() -> None:
    last = NOTE.rfind(b"OggS")
    unfinished = NOTE[last : last + 6] + b"\xff" * 8 + NOTE[last + 14 :]
    assert seconds(NOTE + unfinished) == seconds(NOTE)


# --- At most


@pytest.mark.parametrize(("length", "most"), [(0.02, 1), (1.0, 1), (7.5, 8), (63.0, 63)])
def test_an_opus_file_takes_as_long_as_its_packets_hold_by_whole_seconds(length: float, most: int) -> None:
    assert most_seconds(voice_note("oi", seconds=length)) == most


def test_what_a_page_claims_does_not_make_a_file_shorter() -> None:
    note = voice_note("oi", seconds=60)
    last = note.rfind(b"OggS")
    liar = note[: last + 6] + (48_000).to_bytes(8, "little") + note[last + 14 :]
    assert (seconds(liar), most_seconds(liar)) == (1.0, 60)


def test_what_lies_in_another_page_counts_too() -> None:
    inner = voice_note("oi", seconds=5)
    outer = page(bytes([255] * 10))
    assert most_seconds(NOTE + outer + inner) >= 7


PACKETS = [
    (b"\x00", 10),  # SILK, one frame
    (b"\x18", 60),
    (b"\x60", 10),  # hybrid
    (b"\x68", 20),
    (b"\x80", 2.5),  # CELT
    (b"\xf9", 40),  # two frames
    (b"\xfa", 40),
    (b"\xfb\x03", 60),  # as many as the second byte says
    (b"\xfb\x3f", 120),  # more than a packet may hold
    (b"\xfb", 120),  # nobody knows how many
    (b"", 120),
]


@pytest.mark.parametrize(("packet", "milliseconds"), PACKETS, ids=str)
def test_a_packet_holds_what_its_first_bytes_say(packet: bytes, milliseconds: float) -> None:
    many = page(bytes([len(packet)] * 200), packet * 200)
    assert most_seconds(voice_note("oi", seconds=1) + many) == 1 + -(-200 * milliseconds // 1000)


def test_a_packet_that_goes_on_over_pages_counts_once() -> None:
    begun = page(b"\xff" * 200, b"\xf8" + bytes(200 * 255 - 1))
    rest = page(b"\xff" * 99 + b"\x01", bytes(99 * 255 + 1), flags=1)
    assert most_seconds(voice_note("oi", seconds=0.96) + begun + rest) == 1


@pytest.mark.parametrize(("size", "most"), [(0, 0), (1, 1), (500, 1), (5_001, 11)])
def test_any_other_file_takes_as_long_as_the_slowest_codec(size: int, most: int) -> None:
    assert most_seconds(b"\xff" * size) == most


def page(table: bytes, content: bytes = b"", *, flags: int = 0) -> bytes:
    """A page of Ogg, its checksum wrong."""
    return struct.pack("<4sBBqIIIB", b"OggS", 0, flags, -1, 1, 9, 0, len(table)) + table + content
