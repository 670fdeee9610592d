"""Where settings come from: the command line, before the environment, before the file, before the defaults.

An error names the file and line (or the variable), the key, the value, the rule and the mend; all of them at once.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource

from wtai.errors import SettingsError
from wtai.settings import ENVIRONMENT_PREFIX, SECTIONS, Settings

DEFAULT_FILE = "config.toml"
FAILPOINTS = "WTAI_FAILPOINTS"

_HEADER = re.compile(r"^\s*\[\s*([\w.\"' -]+?)\s*\]")
_ASSIGNMENT = re.compile(r"^\s*([\w.\"'-]+)\s*=")

Tables = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong setting: where it stands, and what is wrong with it and mends it."""

    place: str
    complaint: str

    def __str__(self) -> str:
        return f"{self.place}  {self.complaint}"


@dataclass(frozen=True, slots=True)
class Sources:
    """What each source says, read but not judged."""

    data_dir: Path
    file: Path | None
    text: str
    tables: Tables
    environment: Tables
    overrides: Mapping[str, object]
    unknown: tuple[Problem, ...]

    def origin(self, key: str) -> str:
        """Where the value of ``section.key`` comes from, in words for people."""
        section, _, name = key.partition(".")
        if key in self.overrides:
            return "command line"
        if name in self.environment.get(section, {}):
            return variable(key)
        if name in self.tables.get(section, {}):
            return self.place_in_file(key)
        return "default"

    def place_in_file(self, key: str) -> str:
        """``file:line`` of a key or section; the file alone when it is written in a way that has no line of its own."""
        line = _line_of(self.text, key)
        return f"{self.file}:{line}" if line else str(self.file)


def load(config: Path | None = None, data_dir: Path | None = None, overrides: Mapping[str, object] | None = None) -> Settings:
    """The settings in effect; paths in them are absolute and the model's key is read from its file.

    ``config`` must exist if given, otherwise ``config.toml`` in the data directory is read if it is there. ``data_dir`` is
    otherwise the working directory. ``overrides`` are flags, by ``section.key``. SettingsError names everything that is wrong.
    """
    return settings_from(read(config, data_dir, overrides))


def read(config: Path | None = None, data_dir: Path | None = None, overrides: Mapping[str, object] | None = None) -> Sources:
    """What the sources say, known or not. SettingsError if one of them cannot be read."""
    data_dir = (data_dir or Path()).absolute()
    file = config or data_dir / DEFAULT_FILE
    environment = {section: table for section, table in _Environment(Settings)().items() if isinstance(table, dict)}
    if config is None and not file.exists():
        sources = Sources(data_dir, None, "", {}, environment, overrides or {}, ())
    else:
        text = _file_text(file)
        content = _parsed(file, text)
        tables = {section: table for section, table in content.items() if section in SECTIONS and isinstance(table, dict)}
        sources = Sources(data_dir, file, text, tables, environment, overrides or {}, ())
        sources = replace(sources, unknown=tuple(_unknown_in_file(content, sources)))
    return replace(sources, unknown=(*sources.unknown, *_unknown_variables()))


def settings_from(sources: Sources) -> Settings:
    """Judge the sources. SettingsError with a line for each wrong value and each name that is no setting."""
    problems = list(sources.unknown)
    try:
        settings = Settings.model_validate(_merged(sources))
    except ValidationError as exc:
        problems += [_explained(error, sources) for error in exc.errors()]
    if problems:
        raise SettingsError("\n".join(map(str, problems)))
    return _with_api_key(_with_absolute_paths(settings, sources.data_dir), sources)


def failpoint_spec() -> str:
    """The text of ``WTAI_FAILPOINTS``, empty when it is not set."""
    return os.environ.get(FAILPOINTS, "")


def variable(key: str) -> str:
    """The environment's name of ``section.key``."""
    return ENVIRONMENT_PREFIX + key.upper().replace(".", "__")


def keys() -> list[str]:
    """Every ``section.key``, in the order of the file."""
    return [f"{section}.{name}" for section, model in SECTIONS.items() for name in model.model_fields]


class _Environment(EnvSettingsSource):
    """The environment; lists may be written as JSON or with commas, and an empty variable is one that is not set."""

    def __init__(self, settings: type[BaseSettings]) -> None:
        super().__init__(settings, env_ignore_empty=True)

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: str) -> object:  # noqa: ARG002
        if value.lstrip().startswith(("[", "{")):
            try:
                return json.loads(value)
            except ValueError as exc:
                name = next((variable(key) for key in keys() if key.endswith(f".{field_name}")), variable(field_name))
                raise SettingsError(f"environment {name}  {value!r} is not JSON ({exc}); mend: separate by commas") from exc
        return [part.strip() for part in value.split(",") if part.strip()]


def _file_text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as exc:
        raise SettingsError(
            f"{file}  cannot be read: {exc.strerror}; mend: `wtai init` writes one, --config names another"
        ) from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{file}  is not UTF-8 (byte {exc.start}); mend: save it as UTF-8") from exc


def _parsed(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        reason, _, place = str(exc).partition(" (at line ")
        line = f":{place.split(',')[0]}" if place else f":{text.count(chr(10)) + 1}"
        raise SettingsError(f"{file}{line}  is not TOML: {reason}; mend: write key = value, with texts in quotes") from exc


def _unknown_in_file(content: Mapping[str, object], sources: Sources) -> Iterator[Problem]:
    for section, table in content.items():
        if section not in SECTIONS:
            yield Problem(sources.place_in_file(section), f'unknown section "{section}"{_suggestion(section, SECTIONS)}')
        elif not isinstance(table, dict):
            yield Problem(sources.place_in_file(section), f"{section} must be a table; mend: write [{section}] above its keys")
        else:
            known = SECTIONS[section].model_fields
            for name in (name for name in table if name not in known):
                place = sources.place_in_file(f"{section}.{name}")
                yield Problem(place, f'[{section}] unknown key "{name}"{_suggestion(name, known)}')


def _unknown_variables() -> Iterator[Problem]:
    known = {variable(key): key for key in keys()} | {FAILPOINTS: ""}
    for name in sorted(os.environ):
        if name.upper().startswith(ENVIRONMENT_PREFIX) and name not in known:
            yield Problem(f"environment {name}", f"is not a setting{_suggestion(name, known)}")


def _suggestion(word: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(word.upper() if word.upper() in known else word, known, n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else "; mend: remove it, `wtai config docs` lists the settings"


def _merged(sources: Sources) -> dict[str, dict[str, object]]:
    merged = {
        section: {name: value for name, value in table.items() if name in SECTIONS[section].model_fields}
        for section, table in sources.tables.items()
    }
    flags: dict[str, dict[str, object]] = {}
    for key, value in sources.overrides.items():
        section, _, name = key.partition(".")
        flags.setdefault(section, {})[name] = value
    for stronger in (sources.environment, flags):
        for section, table in stronger.items():
            weaker = merged.setdefault(section, {})
            if section == "openai" and table.keys() & {"api_key", "api_key_file"}:  # two forms of one setting
                weaker.pop("api_key", None)
                weaker.pop("api_key_file", None)
            weaker.update(table)
    return merged


def _explained(error: ErrorDetails, sources: Sources) -> Problem:
    location = [str(part) for part in error["loc"]]
    key = ".".join(location[:2])
    rule = error["msg"].removeprefix("Value error, ").replace("Input should", "must")
    if len(location) < 2:  # a rule about a whole section
        origins = dict.fromkeys(sources.origin(f"{key}.{name}") for name in SECTIONS[key].model_fields)
        return Problem(
            ", ".join(origin for origin in origins if origin != "default"), f"[{key}] {rule}; mend: change one of them"
        )
    field = SECTIONS[location[0]].model_fields[location[1]]
    value = "(secret)" if field.annotation == SecretStr | None else repr(error["input"])
    origin = sources.origin(key)
    if origin == variable(key):
        overridden = location[1] in sources.tables.get(location[0], {})
        origin = f"environment {origin}" + (f" (overrides {sources.place_in_file(key)})" if overridden else "")
    example = field.examples[0] if field.examples else field.default
    return Problem(origin, f"{key} = {value} is not valid: {rule}; mend: such as {toml_value(example)}")


def toml_value(value: object) -> str:
    """``value`` as TOML writes it."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return f"{value:g}"
        case list() | tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case _:
            return json.dumps(str(value), ensure_ascii=False)


def _line_of(text: str, key: str) -> int | None:
    table, around = "", None
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _plain(header[1])
            full = table
        elif assignment := _ASSIGNMENT.match(line):
            name = _plain(assignment[1])
            full = f"{table}.{name}" if table else name
        else:
            continue
        if full == key or full.startswith(f"{key}."):
            return number
        if key.startswith(f"{full}."):  # the key's table, which may be written inline
            around = number
    return around


def _plain(name: str) -> str:
    return re.sub(r"[\"'\s]", "", name)


def _with_absolute_paths(settings: Settings, data_dir: Path) -> Settings:
    security, openai = settings.security, settings.openai
    return settings.model_copy(
        update={
            "database": settings.database.model_copy(update={"url": f"sqlite:///{data_dir / settings.database_path}"}),
            "security": security.model_copy(
                update={
                    "key_file": data_dir / security.key_file,
                    "previous_key_files": tuple(data_dir / path for path in security.previous_key_files),
                }
            ),
            "openai": openai.model_copy(
                update={"api_key_file": openai.api_key_file and data_dir / openai.api_key_file},
            ),
            "backup": settings.backup.model_copy(update={"directory": data_dir / settings.backup.directory}),
            "media": settings.media.model_copy(update={"directory": data_dir / settings.media.directory}),
        }
    )


def _with_api_key(settings: Settings, sources: Sources) -> Settings:
    file = settings.openai.api_key_file
    if file is None:
        return settings
    place = sources.origin("openai.api_key_file")
    if settings.openai.api_key is not None:
        raise SettingsError(f"{place}  openai.api_key and openai.api_key_file are both set; mend: keep one of them")
    try:
        secret = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
        raise SettingsError(
            f"{place}  openai.api_key_file = {str(file)!r} cannot be read: {reason}; mend: write the key there"
        ) from exc
    if not secret:
        raise SettingsError(f"{place}  openai.api_key_file = {str(file)!r} is empty; mend: write the key there")
    return settings.model_copy(update={"openai": settings.openai.model_copy(update={"api_key": SecretStr(secret)})})
