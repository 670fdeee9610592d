"""Every setting, with its default, its rule and one line that explains it: the schema of ``config.toml``.

``settings_source.load`` fills it from the command line, the environment and the file; ``Settings()`` is the defaults alone.
"""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

ENVIRONMENT_PREFIX = "WTAI_"

_SQLITE = "sqlite:///"
_HOST_WITH_PORT = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[1-9][0-9]{0,4}))?")
_DOLLARS = r"\d{1,6}(\.\d{1,6})?"
_PRICE = re.compile(rf"input {_DOLLARS} cached {_DOLLARS} output {_DOLLARS}")

MINUTE = "minute"
"""What the price of a model that listens begins with."""

_MINUTE_PRICE = re.compile(rf"{MINUTE} {_DOLLARS}")


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a web address such as https://example.com")
    if parts.username or parts.query or parts.fragment:
        raise ValueError("must hold no user, no query and no fragment")
    return value.rstrip("/")


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError as exc:
        raise ValueError("must be an IP address or a network such as 10.0.0.0/8") from exc
    return value


def _host_name(value: str) -> str:
    if not value or any(mark in value for mark in "/:@ "):
        raise ValueError("must be host names alone, without scheme, port or path")
    return value.lower()


def _host_with_port(value: str) -> str:
    match = _HOST_WITH_PORT.fullmatch(value)
    if match is None or int(match["port"] or 1) > 65_535:
        raise ValueError("must be a host, or host:port, such as crm.internal:8080 or [fd00::5]:8080")
    return value.lower()


def _sqlite_url(value: str) -> str:
    if not value.startswith(_SQLITE) or not value.removeprefix(_SQLITE).strip("/"):
        raise ValueError("must be sqlite:///FILE, or sqlite:////FILE for an absolute path")
    return value


def _price(value: str) -> str:
    if not _PRICE.fullmatch(value):
        raise ValueError('must be dollars per million tokens such as "input 0.25 cached 0.025 output 2.00"')
    return value


def _minute_price(value: str) -> str:
    if not _MINUTE_PRICE.fullmatch(value):
        raise ValueError('must be dollars per minute such as "minute 0.0045"')
    return value


def _model_price(value: str) -> str:
    model, _, price = value.partition(" ")
    if not model or not (_PRICE.fullmatch(price) or _MINUTE_PRICE.fullmatch(price)):
        raise ValueError(
            'must be a model and its price such as "my-model input 0.25 cached 0.025 output 2.00" or "my-ears minute 0.0045"'
        )
    return value


WebAddress = Annotated[str, AfterValidator(_web_address)]
Network = Annotated[str, AfterValidator(_network)]
HostName = Annotated[str, AfterValidator(_host_name)]
HostWithPort = Annotated[str, AfterValidator(_host_with_port)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1)]
Price = Annotated[str, AfterValidator(_price)]
MinutePrice = Annotated[str, AfterValidator(_minute_price)]
ModelPrice = Annotated[str, AfterValidator(_model_price)]


class Section(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(Section):
    """Where wtai listens."""

    host: Name = Field("127.0.0.1", description="Address to listen on; keep loopback behind a reverse proxy.")
    port: Port = Field(8080, description="Port to listen on; 0 takes a free one.")
    public_url: WebAddress | None = Field(
        None,
        description="What Twilio calls, as set in its console; signatures are checked against it.",
        examples=["https://bot.example.com"],
    )
    trusted_proxies: tuple[Network, ...] = Field(
        ("127.0.0.1",), description="Proxies whose word on the client's address is taken, in limits and logs only."
    )


class DatabaseFile(Section):
    """Where the data are."""

    url: Annotated[str, AfterValidator(_sqlite_url)] = Field(
        "sqlite:///wtai.db", description="The database; a relative path starts in the data directory."
    )


class Security(Section):
    """The keys that seal stored credentials, and how people log in."""

    key_file: Path = Field(Path("wtai.key"), description="Master key, mode 0600; back it up apart from the database.")
    previous_key_files: tuple[Path, ...] = Field((), description="Older master keys that still open what they sealed.")
    access_token_minutes: int = Field(15, ge=1, le=15, description="Minutes that an access token of the API is good for.")
    session_idle_days: int = Field(30, ge=1, le=365, description="Days without a refresh until a log-in is over.")
    session_days: int = Field(90, ge=1, le=365, description="Days until a log-in is over in any case.")
    argon2_memory_kib: int = Field(65_536, ge=19_456, le=2_097_152, description="Memory to check a password with; two at a time.")
    argon2_time_cost: int = Field(3, ge=1, le=100, description="Passes over that memory.")
    argon2_parallelism: int = Field(4, ge=1, le=64, description="Lanes of that memory.")


class Twilio(Section):
    """Twilio's addresses and how patient to be with them."""

    base_url: WebAddress = Field("https://api.twilio.com", description="Twilio's REST API: messages and media.")
    messaging_url: WebAddress = Field("https://messaging.twilio.com", description="Twilio's messaging API: typing indicator.")
    content_url: WebAddress = Field("https://content.twilio.com", description="Twilio's content API: templates.")
    media_hosts: tuple[HostName, ...] = Field(
        ("mms.twiliocdn.com", "media.twiliocdn.com", "s3-external-1.amazonaws.com"),
        description="Hosts that media downloads may be redirected to, even when private or plain http.",
    )
    reconcile_seconds: Seconds = Field(
        60, description="Seconds that Twilio has to tell of a message by itself, before its list tells, and between two lists."
    )
    timeout_seconds: Seconds = Field(40, description="Seconds that one call to Twilio may take; it may think for 30.")


class Egress(Section):
    """What tools and webhooks of owners may call besides the public internet by https."""

    allowed_private_hosts: tuple[HostWithPort, ...] = Field(
        (), description="Hosts (host or host:port) that may be private, speak plain http and listen on any port."
    )


class OpenAi(Section):
    """The models and the server that runs them."""

    base_url: WebAddress = Field("https://api.openai.com/v1", description="OpenAI or any compatible server.")
    api_key: SecretStr | None = Field(
        None, description="Key of that server; without one, messages are kept and turns wait.", examples=["sk-…"]
    )
    api_key_file: Path | None = Field(None, description="File that holds the key, instead of api_key.", examples=["openai.key"])
    api: Literal["auto", "responses", "chat"] = Field(
        "auto", description="Wire protocol; auto is responses for OpenAI itself and chat elsewhere."
    )
    model: Name = Field("gpt-5.4-mini", description="Model of the specialists.")
    vision_model: Name | None = Field(
        None, description="Model for turns that carry pictures, instead of the specialist's own.", examples=["gpt-5.4"]
    )
    router_model: Name = Field("gpt-5.4-nano", description="Model that picks the specialist.")
    small_model: Name = Field("gpt-5.4-nano", description="Cheaper model for what a budget leaves too little for.")
    embedder: Literal["openai", "hashed"] = Field(
        "openai", description="What turns memories into vectors: the model below, or hashed, which needs none and knows less."
    )
    embedding_model: Name = Field("text-embedding-3-small", description="Model that turns memories into vectors.")
    embedding_dimensions: int = Field(
        512, ge=8, le=4096, description="Length of those vectors; after a change, `wtai memory reembed`."
    )
    transcription_model: Name = Field("gpt-transcribe", description="Model that writes down voice messages.")
    timeout_seconds: Seconds = Field(60, description="Seconds that one call to a model may take.")


class Prices(Section):
    """What models cost, in US dollars per million tokens or per minute of sound: with it usage is counted and budgets kept."""

    models: tuple[ModelPrice, ...] = Field(
        (
            "gpt-5.4-mini input 0.75 cached 0.075 output 4.50",
            "gpt-5.4-nano input 0.20 cached 0.02 output 1.25",
            "text-embedding-3-small input 0.02 cached 0.02 output 0",
            "gpt-transcribe minute 0.0045",
        ),
        description="Price of each model; a dated version such as gpt-5.4-mini-2026-03-17 costs what its model does.",
    )
    default: Price = Field("input 5.00 cached 0.50 output 30.00", description="Price of a model that is not listed.")
    default_minute: MinutePrice = Field("minute 0.02", description="Price of a transcription model that is not listed.")


class Conversation(Section):
    """The pace of conversations; owners may have their own."""

    idle_minutes: int = Field(
        60, ge=1, description="Minutes without the user, while we wait for them, until a conversation ends."
    )
    expire_minutes: int = Field(1440, ge=1, description="Minutes from its start until a conversation ends in any case.")
    burst_quiet_ms: int = Field(1500, ge=0, le=60_000, description="Milliseconds of quiet that end a burst of messages.")


class Closure(Section):
    """How sure to be that a user said goodbye; owners may have their own."""

    confirm_threshold: Share = Field(0.6, description="Confidence from which the user is asked whether that was all.")
    close_threshold: Share = Field(0.8, description="Confidence from which the conversation is closed.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.confirm_threshold > self.close_threshold:
            raise ValueError("confirm_threshold must not exceed close_threshold")
        return self


class Worker(Section):
    """How jobs are run."""

    concurrency: int = Field(32, ge=1, le=1024, description="Jobs that run at the same time.")
    lease_seconds: Seconds = Field(60, description="Seconds without a sign of life until a job is taken from its worker.")
    max_attempts: int = Field(8, ge=1, le=100, description="Tries until a job is dead.")
    shutdown_grace_seconds: Seconds = Field(25, description="Seconds that running jobs get to finish at a stop.")


class Limits(Section):
    """What requests may weigh, and how many the API takes."""

    webhook_body_bytes: int = Field(1 << 20, ge=1024, description="Largest webhook body in bytes; a larger one is answered 413.")
    webhook_fields: int = Field(1000, ge=10, description="Most form fields of a webhook; more are answered 400.")
    webhook_concurrency: int = Field(512, ge=1, description="Most webhooks handled at once; further ones are answered 503.")
    api_body_bytes: int = Field(
        1 << 20, ge=1024, description="Largest body of an API request in bytes; a larger one is answered 413."
    )
    api_per_principal: int = Field(600, ge=1, description="API requests a minute of one user or API token; further ones get 429.")
    api_per_owner: int = Field(3000, ge=1, description="API requests a minute of all users and API tokens of an owner.")
    api_per_address: int = Field(60, ge=1, description="Log-ins and refused API requests a minute of one client address.")


class Logging(Section):
    """What is logged, and how it looks."""

    format: Literal["auto", "console", "json"] = Field("auto", description="auto is console on a terminal, else json.")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity that is logged.")


class Metrics(Section):
    """Where Prometheus reads."""

    host: Name = Field("127.0.0.1", description="Address of the metrics listener, which is yet to come.")
    port: Port = Field(9464, description="Port of the metrics listener; 0 takes a free one.")


class Backup(Section):
    """Back-ups of the database."""

    directory: Path = Field(Path("backups"), description="Where back-ups go; a relative path starts in the data directory.")
    every_hours: int = Field(24, ge=0, description="Hours between two back-ups; 0 makes none.")
    keep: int = Field(7, ge=1, description="Back-ups kept; older ones are removed.")


class Media(Section):
    """What people attach."""

    directory: Path = Field(Path("media"), description="Where attachments go; a relative path starts in the data directory.")


class Settings(BaseSettings):
    """All sections. Built by hand it takes nothing from the environment: only ``settings_source.load`` does."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    server: Server = Server()
    database: DatabaseFile = DatabaseFile()
    security: Security = Security()
    twilio: Twilio = Twilio()
    egress: Egress = Egress()
    openai: OpenAi = OpenAi()
    prices: Prices = Prices()
    conversation: Conversation = Conversation()
    closure: Closure = Closure()
    worker: Worker = Worker()
    limits: Limits = Limits()
    logging: Logging = Logging()
    metrics: Metrics = Metrics()
    backup: Backup = Backup()
    media: Media = Media()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing but what is passed in: ``load`` merges the sources itself, to know where each value came from."""
        return (init_settings,)

    @property
    def database_path(self) -> Path:
        """The database's file; absolute once loaded."""
        return Path(self.database.url.removeprefix(_SQLITE))


SECTIONS: dict[str, type[Section]] = {
    name: cast("type[Section]", field.annotation) for name, field in Settings.model_fields.items()
}
