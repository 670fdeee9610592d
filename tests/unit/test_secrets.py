"""Sealed credentials open for their owner and field alone."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wtai.errors import EnvironmentProblem
from wtai.secrets import Key, Sealer, UnsealError, create_key_file, read_key_file

OLD = Key("old00000", b"o" * 32)
NEW = Key("new00000", b"n" * 32)


@given(owner=st.integers(0, 2**62), field=st.text(max_size=20), plaintext=st.text(max_size=200))
def test_what_was_sealed_opens_again(owner: int, field: str, plaintext: str) -> None:
    sealer = Sealer(NEW)
    assert sealer.unseal(owner, field, sealer.seal(owner, field, plaintext)) == plaintext


@pytest.mark.parametrize(("owner", "field"), [(8, "auth_token"), (7, "other_token"), (70, "auth_token")])
def test_a_value_copied_to_another_owner_or_field_does_not_open(owner: int, field: str) -> None:
    sealer = Sealer(NEW)
    sealed = sealer.seal(7, "auth_token", "s3cret")
    with pytest.raises(UnsealError, match="sealed for another place"):
        sealer.unseal(owner, field, sealed)


def test_a_previous_key_still_opens_and_the_current_one_seals() -> None:
    sealed = Sealer(OLD).seal(1, "token", "s3cret")
    rotated = Sealer(NEW, OLD)
    assert rotated.unseal(1, "token", sealed) == "s3cret"
    assert rotated.seal(1, "token", "s3cret").startswith("v1.new00000.")


def test_without_the_key_it_was_sealed_with_the_mend_is_named() -> None:
    sealed = Sealer(OLD).seal(1, "token", "s3cret")
    with pytest.raises(UnsealError, match=r"key old00000; mend: .*previous_key_files"):
        Sealer(NEW).unseal(1, "token", sealed)
    with pytest.raises(UnsealError, match="does not open"):
        Sealer(Key(OLD.id, b"x" * 32)).unseal(1, "token", sealed)


@given(position=st.integers(0, 33), bit=st.integers(0, 7))
def test_a_changed_bit_anywhere_does_not_open(position: int, bit: int) -> None:
    sealer = Sealer(NEW)
    head, _, encoded = sealer.seal(1, "token", "s3cret").rpartition(".")
    content = bytearray(urlsafe_b64decode(encoded))
    content[position] ^= 1 << bit
    with pytest.raises(UnsealError):
        sealer.unseal(1, "token", f"{head}.{urlsafe_b64encode(content).decode()}")


@pytest.mark.parametrize("sealed", ["", "plain", "v1", "v1.new00000.", "v1.new00000.AAAA", "v1.new00000.é", "v2.new00000.AAAA"])
def test_what_was_never_sealed_does_not_open(sealed: str) -> None:
    with pytest.raises(UnsealError):
        Sealer(NEW).unseal(1, "token", sealed)


def test_sealing_twice_gives_two_texts_and_neither_shows_the_secret() -> None:
    sealer = Sealer(NEW)
    first, second = sealer.seal(1, "token", "s3cret"), sealer.seal(1, "token", "s3cret")
    assert first != second
    assert "s3cret" not in first
    assert "n" * 8 not in repr(NEW)


def test_a_key_file_is_for_its_owner_alone_and_never_overwritten(data_dir: Path) -> None:
    path = data_dir / "wtai.key"
    key = create_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key_file(path) == key
    with pytest.raises(EnvironmentProblem, match="never overwritten"):
        create_key_file(path)
    assert read_key_file(path) == key


def test_a_key_file_open_to_others_is_refused_with_the_mend(data_dir: Path) -> None:
    path = data_dir / "wtai.key"
    create_key_file(path)
    path.chmod(0o640)
    with pytest.raises(EnvironmentProblem, match=r"mode 0640\); mend: chmod 600"):
        read_key_file(path)


@pytest.mark.parametrize("content", ["", "# only a comment\n", "id", "id ????\n", "id c2hvcnQ=\n", "a YQ==\nb Yg==\n", "id é\n"])
def test_a_file_that_holds_no_key_is_refused(content: str, data_dir: Path) -> None:
    path = data_dir / "wtai.key"
    path.write_text(content, "utf-8")
    path.chmod(0o600)
    with pytest.raises(EnvironmentProblem, match="mend: "):
        read_key_file(path)
    with pytest.raises(EnvironmentProblem, match=r"no key file .*mend: `wtai init`"):
        read_key_file(data_dir / "absent.key")
