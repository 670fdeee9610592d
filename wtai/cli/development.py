"""What ``wtai dev`` does: the program among fakes, on data of its own, and where to click."""

from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from wtai import __version__
from wtai.cli.configuration import settings_of
from wtai.cli.main import SharedOptions
from wtai.settings import Settings
from wtai.simulator.dev import Developing, develop


def develop_until_stopped(options: SharedOptions, port: int | None, start: Callable[[Coroutine[None, None, None]], None]) -> None:
    """Run until SIGTERM or SIGINT, with ``start`` as the event loop. The data are kept if the options name a directory."""
    with ExitStack() as stack:
        kept = options.data_dir is not None
        data_dir = options.data_dir or Path(stack.enter_context(TemporaryDirectory(prefix="wtai-dev-")))
        own: dict[str, object] = {
            "database.url": "sqlite:///wtai.db",
            "security.key_file": "wtai.key",
            "media.directory": "media",
            "server.host": "127.0.0.1",
            "logging.format": "console",
        }
        flags = own if port is None else {**own, "server.port": port}

        def load(fakes: Mapping[str, object]) -> Settings:
            return settings_of(SharedOptions(options.config, data_dir, options.verbose), {**flags, **fakes})

        def on_ready(settings: Settings, at_work: Developing) -> None:
            _announce(settings, at_work, kept=kept)

        start(develop(load, on_ready))


def _announce(settings: Settings, at_work: Developing, *, kept: bool) -> None:
    lines = (
        f"wtai {__version__} · development: simulated Twilio, scripted model · not for production",
        f"data     {settings.database_path}  ({'kept' if kept else 'thrown away at the end'})",
        f"owner    {at_work.line.owner}  {at_work.line.business.name}  {at_work.line.number}",
        f"  ├─ Simulator    {at_work.page_url}/  ← open this and write as a customer",
        f"  ├─ Console      {at_work.program.url}{at_work.program.console_path}  ← open this beside it and answer as staff",
        f"  ├─ Webhook      {at_work.program.url}/webhooks/twilio/inbound",
        f"  ├─ Health       {at_work.program.url}/health",
        f"  └─ Fake Twilio  {at_work.twilio_url}",
        "Ready (Ctrl-C to stop)",
    )
    click.echo("\n".join(lines), err=True)
