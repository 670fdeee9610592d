"""The ``wtai`` command: the table of its commands, the options they share, and what each error means to the shell."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

import click

from wtai import __version__
from wtai.errors import EnvironmentProblem, SchemaError, SettingsError, WtaiError


class Entry(NamedTuple):
    """A command by where it stands, so that ``--help`` imports none of them."""

    target: str
    help: str


COMMANDS: Final = {
    "run": Entry("wtai.cli.serving:run", "Start the service."),
    "dev": Entry("wtai.cli.serving:dev", "Start the service with simulated Twilio and model: no keys, throw-away data."),
    "init": Entry("wtai.cli.configuration:init", "Write config.toml and a key file, create the database."),
    "check": Entry("wtai.cli.configuration:check", "Say whether the settings are right, and start nothing."),
    "doctor": Entry("wtai.cli.doctor:doctor", "Look for what keeps wtai from working here, with the mend of each."),
    "config": Entry("wtai.cli.configuration:config", "Show the settings: in effect, their schema, their reference."),
    "owner": Entry("wtai.cli.owners:owner", "Create and show owners."),
    "twilio": Entry("wtai.cli.owners:twilio", "Connect owners' Twilio accounts and numbers."),
    "user": Entry("wtai.cli.users:user", "Create and show who may log in, set passwords and roles."),
    "token": Entry("wtai.cli.tokens:token", "Create, show and revoke API tokens."),
    "plan": Entry("wtai.cli.plans:plan", "Show and set plans, and who is on which."),
    "feature": Entry("wtai.cli.features:feature", "Show and set what an owner's AI may do."),
    "tool": Entry("wtai.cli.tools:tool", "Show and set the HTTP tools of an owner's own."),
    "webhook": Entry("wtai.cli.webhooks:webhook", "Create and show webhook endpoints, deliver events again."),
    "keys": Entry("wtai.cli.keys:keys", "Check and rotate the keys that seal credentials."),
    "memory": Entry("wtai.cli.memory:memory", "Make memories findable again after a change of the embedding model."),
    "jobs": Entry("wtai.cli.queue:jobs", "List, retry and discard jobs."),
    "db": Entry("wtai.cli.database:db", "Migrate the database, show its state, and check it."),
    "backup": Entry("wtai.cli.backup:backup", "Make, show and check back-ups."),
    "restore": Entry("wtai.cli.restore:restore", "Put a back-up in the place of the database."),
    "trigger": Entry("wtai.cli.trigger:trigger", "Send a signed webhook to a running wtai."),
    "service": Entry("wtai.cli.service:service", "Print a systemd unit and configurations of reverse proxies."),
    "completion": Entry("wtai.cli.completion:completion", "Print what makes a shell complete commands."),
    "version": Entry("wtai.cli.configuration:version", "Show the versions of wtai, Python and SQLite."),
}

EXIT_CODES: Final[tuple[tuple[type[WtaiError], int], ...]] = (
    (SettingsError, 3),
    (EnvironmentProblem, 4),
    (SchemaError, 5),
    (WtaiError, 1),
)
INTERRUPTED: Final = 130
COMPLETION: Final = "_WTAI_COMPLETE"
"""The variable by which a shell asks for completions."""


@dataclass(slots=True)
class SharedOptions:
    """What ``--config``, ``--data-dir`` and ``-v`` said; commands get it with ``@click.pass_obj``."""

    config: Path | None = None
    data_dir: Path | None = None
    verbose: bool = False


class Commands(click.Group):
    """The table above as a click group: a command's module is imported when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signatures are click's
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.target.partition(":")
        command: click.Command = getattr(import_module(module), name)
        _share_options(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def run(arguments: Sequence[str]) -> int:
    """Run the command that ``arguments`` name and return the process's exit code; errors go to stderr."""
    try:
        result = wtai.main(list(arguments), prog_name="wtai", obj=SharedOptions(), standalone_mode=False, complete_var=COMPLETION)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except WtaiError as exc:
        for line in str(exc).splitlines():
            click.echo(f"error: {line}", err=True)
        return next(code for kind, code in EXIT_CODES if isinstance(exc, kind))
    except Exception:  # noqa: BLE001 - the end of the process: logged with its traceback, secrets and numbers masked
        _logger().exception("unexpected error")
        return 1
    return result if isinstance(result, int) else 0


def _share_options(command: click.Command) -> None:
    """Let ``command`` and all below it take the shared options too: they are accepted before and after a command."""
    taken = {name for parameter in command.params for name in parameter.opts}
    command.params += [option for option in _shared_options() if not taken.intersection(option.opts)]
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _share_options(below)


def _shared_options() -> list[click.Option]:
    path = click.Path(path_type=Path)
    return [
        click.Option(
            ["--config"], type=path, expose_value=False, callback=_remember,
            help="Settings file; otherwise config.toml in the data directory.",
        ),
        click.Option(
            ["--data-dir"], type=path, expose_value=False, callback=_remember,
            help="Where the data are; otherwise the working directory.",
        ),
        click.Option(
            ["-v", "--verbose"], is_flag=True, expose_value=False, callback=_remember, help="Log details too.",
        ),
    ]  # fmt: skip


def _remember(ctx: click.Context, parameter: click.Parameter, value: Path | bool | None) -> None:
    if value and parameter.name:
        setattr(ctx.ensure_object(SharedOptions), parameter.name, value)


def _logger() -> logging.Logger:
    from wtai import logs  # structlog is slow to import and no command needs it to fail as it should

    if not logging.getLogger().handlers:
        logs.configure()
    return logging.getLogger("wtai")


wtai = Commands(
    "wtai",
    params=[*_shared_options()],
    help="WhatsApp conversations with LLM agents over Twilio: one process, one SQLite file.",
)
click.version_option(__version__, message="%(prog)s %(version)s")(wtai)
