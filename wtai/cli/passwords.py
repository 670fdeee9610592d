"""How commands come by a password: from a file or a prompt, never from the command line."""

import sys
from typing import TextIO

import click

from wtai.identity.passwords import Passwords, check_password
from wtai.identity.users_store import check_email
from wtai.settings import Settings


def hash_of_new_password(settings: Settings, email: str, file: TextIO | None) -> str:
    """The hash of a new password for the user with this e-mail address, asked for on the terminal without ``file``.

    WrongEmail, WeakPassword; UsageError without a file and a terminal.
    """
    check_email(email)
    password = _read(file) if file is not None else _asked()
    check_password(password, [email])
    return Passwords.of(settings.security).hash(password)


def _read(file: TextIO) -> str:
    """The first line: what follows it is not part of a password."""
    return file.readline().rstrip("\r\n")


def _asked() -> str:
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for the password; give --password-file, '-' for standard input")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
