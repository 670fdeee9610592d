"""``wtai completion``: what makes a shell complete wtai's commands and options."""

import click
from click.shell_completion import get_completion_class

from wtai.cli.main import COMPLETION, wtai
from wtai.errors import WtaiError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), default="bash")
def completion(shell: str) -> None:
    """Print a script for bash (by default), zsh or fish that completes commands and options.

    For example, in ~/.bashrc: eval "$(wtai completion bash)"
    """
    found = get_completion_class(shell)
    if found is None:
        raise WtaiError(f"there is no completion for {shell}")
    click.echo(found(wtai, {}, "wtai", COMPLETION).source())
