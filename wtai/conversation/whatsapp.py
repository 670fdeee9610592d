"""Text as WhatsApp shows it: its own formatting instead of Markdown, in parts that the channel accepts. Pure.

WhatsApp knows ``*bold*``, ``_italic_``, ``~strike~``, ```` ```code``` ````, ```code```, ``- `` lists, ``> `` quotes, and nothing
else (https://faq.whatsapp.com/539178204879377). A part holds at most 1,600 characters, counted in UTF-16 units.
"""

import re
import unicodedata
from collections.abc import Iterator

LIMIT = 1600
AIM = 1500
_LEAST = 600

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_SHELTERED = re.compile(r"```.*?```|`[^`\n]+`|<?https?://[^\s<>*|\[\]]+>?", re.DOTALL)
_MARK = re.compile("\ue000(\\d+)\ue001")
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\(\s*<?([^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*)>?(?:\s+[\"'][^\n\"']*[\"'])?\s*\)")
_BOLD = re.compile(r"(?<!\\)\*\*(?=[^\s*])((?:(?!\n[ \t]*\n).){1,1000}?)(?<=[^\s\\])\*\*", re.DOTALL)
_UNCLOSED_BOLD = re.compile(r"(?<!\S)\*\*(?=\w)|(?<=[\w.!?:])\*\*(?!\S)")
_BOLD_UNDERSCORES = re.compile(r"(?<!\w)__(?=\S)([^\n]{1,1000}?)(?<=\S)__(?!\w)")
_BOLD_ITALIC = re.compile(r"\*\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*\*")
_STRIKE = re.compile(r"~~(?=\S)([^\n]{1,1000}?)(?<=\S)~~")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|~>])")
_HEADING = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$")
_UNDERLINE = re.compile(r"^[ \t]{0,3}={3,}[ \t]*$")
_RULE = re.compile(r"^[ \t]{0,3}(?:-[ \t]*){3,}$|^[ \t]{0,3}(?:\*[ \t]*){3,}$|^[ \t]{0,3}(?:_[ \t]*){3,}$")
_BULLET = re.compile(r"^([ \t]*)[*+•·‣-][ \t]+(?:\[([ xX])\][ \t]+)?")
_QUOTE = re.compile(r"^(?:[ \t]*>)+[ \t]*")
_TABLE_RULE = re.compile(r"^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_BREAK = re.compile(r"<br[ \t]*/?>", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]”»*_~]*(?=\s)")
_UNSAFE = re.compile(
    # Controls; characters that reorder or hide what surrounds them; lone surrogates; the private ones used as marks here.
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ud800-\udfff\ue000\ue001]"
)


def to_whatsapp(text: str) -> str:
    """``text`` with its Markdown turned into WhatsApp's formatting; code and addresses stay as they are, invisible controls go.

    A single ``*`` or ``_`` is left alone: it is WhatsApp's own already.
    """
    text = _UNSAFE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text, kept = _shelter(text)
    text = _links(_BREAK.sub("\n", text))
    text, kept = _shelter(text, kept)
    text = _inline("\n".join(_lines(text.split("\n"))))
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\n{3,}", "\n\n", text).strip("\n")
    return _MARK.sub(lambda mark: kept[int(mark[1])], text).strip()


def utf16_length(text: str) -> int:
    """The length as the channel counts it: a character outside the basic plane, such as most emoji, counts twice."""
    return len(text) + sum(1 for character in text if character > "\uffff")


def split(text: str, limit: int = LIMIT, aim: int = AIM) -> list[str]:
    """``text`` in parts of at most ``limit`` UTF-16 units each, in order; empty for nothing but white space.

    What fits in one part stays whole. Otherwise parts end at most at ``aim``, at a paragraph, a line, a sentence or a word, in
    this order of preference; only a longer word is cut, between characters as people see them. Only white space is lost.
    ValueError for a limit too small for one character.
    """
    if not 2 <= aim <= limit:
        raise ValueError(f"split: aim {aim} and limit {limit} must satisfy 2 <= aim <= limit")
    parts = []
    rest = text.strip()
    while utf16_length(rest) > limit:
        cut = _cut(rest, aim)
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*parts, rest] if rest else parts


def _shelter(text: str, kept: tuple[str, ...] = ()) -> tuple[str, tuple[str, ...]]:
    """``text`` with marks in place of code and addresses, which no rule may touch, and what the marks stand for."""
    sheltered = {piece: number for number, piece in enumerate(kept)}

    def put(piece: str) -> str:
        return f"\ue000{sheltered.setdefault(piece, len(sheltered))}\ue001"

    def code_or_address(found: re.Match[str]) -> str:
        piece = found[0]
        if piece.startswith("`"):
            return put(piece)
        address = piece.strip("<>")
        bare = address.rstrip(".,;:!?_~'\"")
        while bare.endswith(")") and bare.count(")") > bare.count("("):
            bare = bare[:-1]
        return put(bare) + address[len(bare) :]

    text = _FENCE.sub(lambda found: put(f"```\n{found[2].rstrip()}\n```"), text)
    return _SHELTERED.sub(code_or_address, text), tuple(sheltered)


def _links(text: str) -> str:
    def written_out(link: re.Match[str]) -> str:
        label, address = link[1].strip(), link[2].removeprefix("mailto:").removeprefix("tel:")
        if not label or label == address:
            return address
        return label if address.startswith(("#", "/")) or not address else f"{label}: {address}"

    return _LINK.sub(written_out, text)


def _lines(lines: list[str]) -> Iterator[str]:
    """Headings, rules, bullets, quotes and tables, line by line."""
    position = 0
    while position < len(lines):
        line = lines[position]
        following = lines[position + 1] if position + 1 < len(lines) else ""
        if "|" in line and "|" in following and _TABLE_RULE.match(following):
            end = position + 2
            while end < len(lines) and "|" in lines[end]:
                end += 1
            yield from _table(_cells(line), [_cells(row) for row in lines[position + 2 : end]])
            position = end
        elif line.strip() and _UNDERLINE.match(following):
            yield _bold_line(line)
            position += 2
        else:
            yield _line(line)
            position += 1


def _line(line: str) -> str:
    heading = _HEADING.match(line)
    if heading:
        return _bold_line(heading[1])
    if _RULE.match(line):
        return ""
    quote = _QUOTE.match(line)
    if quote:
        return f"> {_line(line[quote.end() :])}".rstrip()
    bullet = _BULLET.match(line)
    if bullet:
        box = {None: "", " ": "☐ "}.get(bullet[2], "☑ ")
        return f"{bullet[1]}- {box}{line[bullet.end() :]}"
    return line


def _bold_line(text: str) -> str:
    plain = re.sub(r"\*\*|__", "", text).strip().strip("*").strip()
    return f"*{plain}*" if plain else ""


def _cells(row: str) -> list[str]:
    inside = row.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inside)]


def _table(header: list[str], rows: list[list[str]]) -> Iterator[str]:
    """``- a: b`` for two columns; for more, each cell after the first with its column's name."""
    if len(header) <= 2:
        yield _bold_line(" — ".join(filter(None, header)))
        for row in rows:
            yield "- " + ": ".join(filter(None, row))
        return
    yield _bold_line(header[0])
    for row in rows:
        named = [f"{name}: {cell}" if name else cell for name, cell in zip(header[1:], row[1:], strict=False) if cell]
        beyond = row[len(header) :]
        yield "- " + " — ".join(filter(None, [row[0], *named, *beyond]))


def _inline(text: str) -> str:
    text = _BOLD_ITALIC.sub(r"*_\1_*", text)
    text = _BOLD.sub(lambda bold: "\n".join(f"*{line}*" if line.strip() else line for line in bold[1].split("\n")), text)
    text = _BOLD_UNDERSCORES.sub(r"*\1*", _UNCLOSED_BOLD.sub("", text))
    return _ESCAPE.sub(r"\1", _STRIKE.sub(r"~\1~", text))


def _cut(text: str, aim: int) -> int:
    """Where the first part of ``text`` ends, as an index; the part is never empty."""
    window = _index_of_unit(text, aim)
    early = min(_LEAST, window // 2)
    for end in (text.rfind("\n\n", early, window + 2), text.rfind("\n", early, window + 1)):
        if 0 < end <= window and _is_clean(text, end):
            return end
    sentences = [found.end() for found in _SENTENCE_END.finditer(text, 0, window + 1) if early < found.end() <= window]
    words = [position for position in range(1, window + 1) if text[position].isspace()]
    clean = (end for end in (*reversed(sentences), *reversed(words)) if _is_clean(text, end))
    return next(clean, 0) or _between_characters(text, window)


def _is_clean(text: str, end: int) -> bool:
    """Whether what stands on both sides of ``end``, without the white space there, are whole characters as people see them."""
    following = text[end:].lstrip()
    return not text[:end].rstrip().endswith("\u200d") and not (following and _is_joined_to_what_precedes(following[0]))


def _index_of_unit(text: str, units: int) -> int:
    """The index of the last character that ends within the first ``units`` UTF-16 units, plus one."""
    used = 0
    for index, character in enumerate(text):
        used += 2 if character > "\uffff" else 1
        if used > units:
            return index
    return len(text)


def _between_characters(text: str, window: int) -> int:
    """The last place at or before ``window`` that does not part an emoji sequence or a letter from its accent."""
    for position in range(window, 0, -1):
        if not _joined(text, position) and _is_clean(text, position):
            return position
    return window


def _joined(text: str, position: int) -> bool:
    before, after = text[position - 1], text[position]
    if before == "\u200d" or _is_joined_to_what_precedes(after):
        return True
    if not (_is_flag_letter(before) and _is_flag_letter(after)):
        return False
    run = 0
    while run < position and _is_flag_letter(text[position - 1 - run]):
        run += 1
    return run % 2 == 1


def _is_joined_to_what_precedes(character: str) -> bool:
    """Joiners, accents, tones of skin, and the tags of a flag."""
    if character == "\u200d" or unicodedata.category(character) in {"Mn", "Mc", "Me"}:
        return True
    return "\U0001f3fb" <= character <= "\U0001f3ff" or "\U000e0020" <= character <= "\U000e007f"


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
