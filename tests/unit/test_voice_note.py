"""Voice notes of the simulator are real OGG files."""

from wtai.simulator import voice


def test_a_voice_note_is_an_ogg_file_and_keeps_what_was_said() -> None:
    note = voice.voice_note("Olá, tudo bem?", seconds=12)
    pages = note.split(b"OggS")[1:]
    assert note.startswith(b"OggS") and pages[0][24:].startswith(b"OpusHead") and pages[1][24:].startswith(b"OpusTags")
    assert [int.from_bytes(page[14:18], "little") for page in pages] == list(range(len(pages)))
    assert int.from_bytes(pages[-1][2:10], "little") == 12 * voice.SAMPLE_RATE
    # The published check value of CRC-32/CKSUM, whose only difference is that it inverts the result.
    assert voice._crc(b"123456789") == 0x765E7680 ^ 0xFFFFFFFF
    assert (voice.spoken_text(note), voice.spoken_text(b"ID3 other audio")) == ("Olá, tudo bem?", None)
