"""Templates: everything in them is escaped, times are left to the browser, WhatsApp's marks become HTML after escaping."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from wtai.web.console import assets
from wtai.web.console.language import catalogue

_MARKS: Final = (
    (re.compile(r"```(.+?)```", re.DOTALL), r"<code>\1</code>"),
    (re.compile(r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])"), r"<strong>\1</strong>"),
    (re.compile(r"(?<![\w_])_(?=\S)([^_\n]+?)(?<=\S)_(?![\w_])"), r"<em>\1</em>"),
    (re.compile(r"(?<![\w~])~(?=\S)([^~\n]+?)(?<=\S)~(?![\w~])"), r"<s>\1</s>"),
)
_BIDI: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""What turns the direction of text around it (unicode.org/reports/tr9): shown, so that no name can hide what it says."""


def render(template: str, language: str, context: Mapping[str, object]) -> Markup:
    """A template with its context, in a language."""
    return Markup(_environment(language).get_template(template).render(context))  # noqa: S704 - Jinja escaped it


def whatsapp(text: str) -> Markup:
    """A message's text as WhatsApp shows it: bold, italic, struck through and monospaced."""
    marked = str(escape(shown(text)))
    for pattern, replacement in _MARKS:
        marked = pattern.sub(replacement, marked)
    return Markup(marked)  # noqa: S704 - escaped before the marks were put in


def shown(text: str) -> str:
    """Text with what would turn its direction made visible."""
    return _BIDI.sub(lambda match: f"⟦U+{ord(match[0]):04X}⟧", text)


def when(at: int | None, style: str = "short") -> Markup:
    """A moment (ms), for the browser to write in its own time zone: ``style`` short, time, date, long or ago."""
    if at is None:
        return Markup("")
    iso = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Markup(f'<time datetime="{iso}" data-style="{style}">{iso[:10]} {iso[11:16]}</time>')  # noqa: S704 - ours, all of it


def initials(name: str) -> str:
    """Up to two letters for a person without a picture; none for a number."""
    words: list[str] = re.findall(r"[^\W\d_]+", name)
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


def phone(address: str) -> str:
    """A channel's address as people read it: without its channel."""
    return address.rpartition(":")[2]


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("wtai.web.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    texts = catalogue(language)
    environment.install_gettext_callables(texts.gettext, texts.ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.globals.update(asset=assets.address)
    environment.filters.update(whatsapp=whatsapp, shown=shown, when=when, initials=initials, phone=phone)
    return environment
