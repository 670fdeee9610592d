"""Settings: precedence, and errors that name place, key, value, rule and mend."""

import tomllib
from pathlib import Path

import pytest

from wtai.cli.configuration import render_example
from wtai.errors import SettingsError
from wtai.settings import SECTIONS, Settings
from wtai.settings_source import keys, load, read, variable

ROOT = Path(__file__).resolve().parents[2]


def written(data_dir: Path, text: str) -> Path:
    file = data_dir / "config.toml"
    file.write_text(text, "utf-8")
    return file


def errors(data_dir: Path, text: str) -> list[str]:
    file = written(data_dir, text)
    with pytest.raises(SettingsError) as raised:
        load(None, data_dir)
    return str(raised.value).replace(str(file), "config.toml").splitlines()


def test_flag_beats_environment_beats_file_beats_default(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(data_dir, "[server]\nhost = '10.0.0.1'\nport = 1\n[metrics]\nport = 1\n")
    monkeypatch.setenv("WTAI_SERVER__PORT", "2")
    monkeypatch.setenv("WTAI_METRICS__PORT", "2")
    settings = load(None, data_dir, {"server.port": 3})
    assert (settings.server.port, settings.metrics.port, settings.server.host) == (3, 2, "10.0.0.1")
    assert settings.worker.concurrency == 32
    sources = read(None, data_dir, {"server.port": 3})
    origins = [sources.origin(key) for key in ("server.port", "metrics.port", "server.host", "worker.concurrency")]
    assert origins == ["command line", "WTAI_METRICS__PORT", f"{data_dir}/config.toml:2", "default"]


def test_every_wrong_setting_is_reported_at_once_with_its_line_value_rule_and_mend(data_dir: Path) -> None:
    text = '[server]\n# a comment\nport = 99999\nprot = 1\n\n[closure]\nconfirm_threshold = 0.9\n\n[opneai]\nmodel = "x"\n'
    assert errors(data_dir, text) == [
        'config.toml:4  [server] unknown key "prot"; did you mean "port"?',
        'config.toml:9  unknown section "opneai"; did you mean "openai"?',
        "config.toml:3  server.port = 99999 is not valid: must be less than or equal to 65535; mend: such as 8080",
        "config.toml:7  [closure] confirm_threshold must not exceed close_threshold; mend: change one of them",
    ]


def test_a_wrong_variable_is_named_with_the_line_it_overrides(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WTAI_SERVER__PORT", "many")
    [line] = errors(data_dir, "[server]\nport = 1\n")
    assert line.startswith(
        "environment WTAI_SERVER__PORT (overrides config.toml:2)  server.port = 'many' is not valid: must be a"
    )


@pytest.mark.parametrize("name", ["WTAI_SEVER__PORT", "wtai_server__port"])
def test_a_misspelt_variable_is_refused_with_a_suggestion(name: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert errors(data_dir, "") == [f'environment {name}  is not a setting; did you mean "WTAI_SERVER__PORT"?']


@pytest.mark.parametrize("name", ["WTAI_SERVER", "WTAI_DATA_DIR", "WTAI_"])
def test_a_variable_that_is_no_setting_is_refused(name: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    [line] = errors(data_dir, "")
    assert line.startswith(f"environment {name}  is not a setting; ")


def test_the_failpoint_variable_is_no_setting_and_no_error(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WTAI_FAILPOINTS", "ack.after_commit=1:kill")
    load(None, data_dir)


@pytest.mark.parametrize("value", ["10.0.0.0/8, 127.0.0.1", '["10.0.0.0/8", "127.0.0.1"]'])
def test_a_list_in_the_environment_may_be_json_or_separated_by_commas(
    value: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WTAI_SERVER__TRUSTED_PROXIES", value)
    assert load(None, data_dir).server.trusted_proxies == ("10.0.0.0/8", "127.0.0.1")


def test_a_file_that_is_no_toml_is_named_with_its_line(data_dir: Path) -> None:
    [line] = errors(data_dir, "[server]\nport = \n")
    assert line.startswith("config.toml:2  is not TOML: ")


def test_a_section_written_as_a_value_is_refused(data_dir: Path) -> None:
    assert errors(data_dir, "server = 1\n") == ["config.toml:1  server must be a table; mend: write [server] above its keys"]


@pytest.mark.parametrize(
    "form", ["[server]\nport = 70000", "server.port = 70000", "server = {port = 70000}", '["server"]\n"port"=70000']
)
def test_a_line_is_found_however_the_key_is_written(form: str, data_dir: Path) -> None:
    [line] = errors(data_dir, f"{form}\n")
    assert line.startswith(f"config.toml:{len(form.splitlines())}  server.port = 70000"), line


def test_a_settings_file_that_was_named_must_exist(data_dir: Path) -> None:
    load(None, data_dir)
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load(data_dir / "absent.toml", data_dir)


def test_relative_paths_start_in_the_data_directory_and_absolute_ones_stay(data_dir: Path) -> None:
    settings = load(None, data_dir)
    assert settings.database_path == data_dir / "wtai.db"
    assert settings.security.key_file == data_dir / "wtai.key"
    assert settings.backup.directory == data_dir / "backups"
    elsewhere = load(None, data_dir, {"database.url": "sqlite:////srv/wtai/live.db"})
    assert elsewhere.database_path == Path("/srv/wtai/live.db")


def test_the_models_key_comes_from_a_file_and_never_shows(data_dir: Path) -> None:
    (data_dir / "openai.key").write_text("sk-very-secret\n")
    settings = load(None, data_dir, {"openai.api_key_file": "openai.key"})
    assert settings.openai.api_key is not None
    assert settings.openai.api_key.get_secret_value() == "sk-very-secret"
    assert "very-secret" not in repr(settings)


@pytest.mark.parametrize(("content", "reason"), [(None, "cannot be read: No such file"), (" \n", "is empty")])
def test_a_key_file_without_a_key_is_an_error(content: str | None, reason: str, data_dir: Path) -> None:
    if content is not None:
        (data_dir / "openai.key").write_text(content)
    [line] = errors(data_dir, '[openai]\napi_key_file = "openai.key"\n')
    assert line.startswith("config.toml:2  openai.api_key_file = ")
    assert reason in line


def test_a_key_in_the_environment_replaces_the_files_key_file(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(data_dir, '[openai]\napi_key_file = "absent.key"\n')
    monkeypatch.setenv("WTAI_OPENAI__API_KEY", "sk-from-outside")
    key = load(None, data_dir).openai.api_key
    assert key is not None
    assert key.get_secret_value() == "sk-from-outside"


def test_two_forms_of_the_key_in_one_place_are_an_error(data_dir: Path) -> None:
    [line] = errors(data_dir, '[openai]\napi_key = "sk-1"\napi_key_file = "k"\n')
    assert "both set" in line


def test_a_secret_of_the_wrong_type_is_not_repeated(data_dir: Path) -> None:
    [line] = errors(data_dir, "[openai]\napi_key = 123454321\n")
    assert "123454321" not in line
    assert "openai.api_key = (secret) is not valid" in line


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("server.public_url", "bot.example.com"),
        ("server.public_url", "https://user:pass@bot.example.com"),
        ("twilio.base_url", "ftp://api.twilio.com"),
        ("twilio.media_hosts", ["https://mms.twiliocdn.com/"]),
        ("server.trusted_proxies", ["localhost"]),
        ("database.url", "postgresql://localhost/wtai"),
        ("database.url", "sqlite:///"),
        ("worker.lease_seconds", 0),
        ("openai.api", "soap"),
        ("logging.level", "loud"),
    ],
)
def test_values_that_cannot_work_are_refused(key: str, value: object, data_dir: Path) -> None:
    with pytest.raises(SettingsError, match=key.replace(".", r"\.")):
        load(None, data_dir, {key: value})


def test_settings_cannot_be_changed_after_they_are_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().server.port = 1  # type: ignore[misc]


def test_the_example_file_holds_every_key_with_its_default_and_nothing_else() -> None:
    text = (ROOT / "config.example.toml").read_text("utf-8")
    uncommented = "\n".join(
        line.removeprefix("#") if line.startswith("#") and line[1:2] != " " else line for line in text.splitlines()
    )
    assert {f"{section}.{key}" for section, table in tomllib.loads(uncommented).items() for key in table} == set(keys())
    defaults = Settings()
    for section, table in tomllib.loads(text).items():
        assert SECTIONS[section].model_validate(table) == getattr(defaults, section)
    assert text == render_example(), "mend: wtai config docs > config.example.toml"


def test_every_key_has_one_line_of_explanation() -> None:
    for section, model in SECTIONS.items():
        for name, field in model.model_fields.items():
            assert field.description, f"{section}.{name}"
            assert "\n" not in field.description


def test_every_key_can_be_set_in_the_environment(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in keys():
        if key != "openai.api_key_file":
            section, _, name = key.partition(".")
            default = getattr(getattr(Settings(), section), name)
            value = ",".join(default) or "old.key" if isinstance(default, tuple) else str(default)
            monkeypatch.setenv(variable(key), "https://example.com" if default is None else value)
    sources = read(None, data_dir)
    assert {key for key in keys() if sources.origin(key) == variable(key)} == set(keys()) - {"openai.api_key_file"}
    load(None, data_dir)


def test_an_empty_variable_is_one_that_is_not_set(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WTAI_SERVER__PUBLIC_URL", "")
    assert load(None, data_dir).server.public_url is None


def test_a_list_that_is_no_json_is_named(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WTAI_TWILIO__MEDIA_HOSTS", '["a"')
    [line] = errors(data_dir, "")
    assert line.startswith("environment WTAI_TWILIO__MEDIA_HOSTS  '[\"a\"' is not JSON")
