"""All commands, put together."""

import sys

import typer

from service.cli import (
    batch,
    config,
    doctor,
    embed,
    endpoints,
    events,
    generate,
    jobs,
    keys,
    listen,
    models,
    providers,
    running,
)
from service.cli.failure import Failure
from service.cli.output import say

app = typer.Typer(
    help="Self-hosted, asynchronous image generation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(running.up)
app.command()(running.web)
app.command()(running.worker)
app.command()(generate.generate)
app.add_typer(batch.app, name="batch")
app.add_typer(jobs.app, name="jobs")
app.command()(events.events)
app.command()(listen.listen)
app.add_typer(endpoints.app, name="endpoints")
app.add_typer(keys.app, name="keys")
app.add_typer(embed.app, name="embed")
app.add_typer(providers.app, name="providers")
app.add_typer(models.app, name="models")
app.command()(doctor.doctor)
app.add_typer(config.app, name="config")


def run() -> None:
    """Run the command that the arguments name, and exit."""
    try:
        app()
    except Failure as exc:
        say(f"darkroom: {exc}")
        sys.exit(exc.exit_code)
