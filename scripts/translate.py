"""Brings the console's Portuguese catalogues in step with the texts in the code, and compiles them.

Usage: python3 scripts/translate.py [--check]. Each section of the console has a catalogue: the templates of its folder and the
modules whose names begin with its own; what is left is core's. ``--check`` changes nothing: exit 1 if something is missing,
unused or not compiled.
"""

import re
import sys
from io import BytesIO
from pathlib import Path

import _venv

CONSOLE = _venv.ROOT / "wtai" / "web" / "console"
CATALOGUES = CONSOLE / "locale" / "pt_BR" / "LC_MESSAGES"
_HEADER = b"""msgid ""
msgstr ""
"Language: pt_BR\\n"
"POT-Creation-Date: 2026-11-29 00:00+0000\\n"
"PO-Revision-Date: 2026-11-29 00:00+0000\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n > 1);\\n"

"""
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "text": None}


def main() -> int:
    """Update and compile, or check."""
    check = "--check" in sys.argv[1:]
    complaints = [complaint for section, sources in sorted(sections().items()) for complaint in treat(section, sources, check)]
    for complaint in complaints:
        print(complaint)
    print(f"{len(complaints)} texts to mend" if complaints else "all texts are translated")
    return bool(complaints)


def sections() -> dict[str, list[Path]]:
    """The source files of each catalogue."""
    names = sorted(folder.name for folder in (CONSOLE / "templates").iterdir() if folder.is_dir() and folder.name != "core")
    found: dict[str, list[Path]] = {name: [] for name in ("core", *names)}
    for file in sorted((CONSOLE / "templates").rglob("*.html")):
        found[file.relative_to(CONSOLE / "templates").parts[0]].append(file)
    for file in sorted(CONSOLE.rglob("*.py")):
        stem = file.relative_to(CONSOLE).parts[0].removesuffix(".py")
        found[next((name for name in names if re.fullmatch(rf"{name}(_\w+)?", stem)), "core")].append(file)
    return found


def treat(section: str, sources: list[Path], check: bool) -> list[str]:
    """Update one catalogue; what is missing in it."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po, write_po

    place = CATALOGUES / f"{section}.po"
    known = read_po(BytesIO(place.read_bytes() if place.exists() else _HEADER))
    fresh = read_po(BytesIO(_HEADER))
    for message in _extracted(sources):
        key = message if isinstance(message, str) else message[0]
        before = known.get(key)
        fresh.add(message, before.string if before else "")
    complaints = [f"{section}: not translated: {one.id!r}" for one in fresh if one.id and not _is_whole(one.string)]
    po, mo = BytesIO(), BytesIO()
    write_po(po, fresh, sort_output=True, omit_header=True, no_location=True, width=120)
    text = _HEADER + po.getvalue()
    write_mo(mo, read_po(BytesIO(text)))
    for file, content in ((place, text), (place.with_suffix(".mo"), mo.getvalue())):
        if check and (not file.exists() or file.read_bytes() != content):
            complaints.append(f"{section}: {file.name} is not up to date: run scripts/translate.py")
        elif not check:
            file.write_bytes(content)
    return complaints


_PLURALS = b'"Plural-Forms: nplurals=2; plural=(n > 1);\\n"\n'


def _extracted(sources: list[Path]) -> list[str | tuple[str, str]]:
    """Every text in the sources, once."""
    from babel.messages.extract import extract

    found: dict[str, str | tuple[str, str]] = {}
    for file in sources:
        method = "python" if file.suffix == ".py" else "jinja2.ext:babel_extract"
        options = {"trimmed": "true", "extensions": "jinja2.ext.do"} if file.suffix == ".html" else {}
        with file.open("rb") as opened:
            for _, text, _, _ in extract(method, opened, keywords=KEYWORDS, options=options):
                key = text[0] if isinstance(text, tuple) else text
                found[key] = tuple(text[:2]) if isinstance(text, tuple) else text
    return list(found.values())


def _is_whole(string: str | list[str] | tuple[str, ...]) -> bool:
    return bool(string) if isinstance(string, str) else bool(string) and all(string)


if __name__ == "__main__":
    _venv.ensure("dev", "fast")
    sys.exit(main())
