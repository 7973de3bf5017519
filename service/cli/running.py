"""`darkroom up`, `web` and `worker`: start what serves."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.context import AsJson, DataDir, read_settings
from service.cli.failure import Failure
from service.cli.output import emit, say

if TYPE_CHECKING:
    from service.up import Ready


Unsafe = Annotated[
    bool,
    typer.Option("--unsafe", help="Start even on backends that break promises."),
]


def up(
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="0: any free one.  [default: 8080]"),
    ] = None,
    data_dir: DataDir = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    unsafe: Unsafe = False,
    json: AsJson = False,
) -> None:
    """Start everything on this machine: Valkey, the front door and workers.

    All it keeps lies in the data folder; a restart has every job and image.
    """
    from service.core.errors import QueueUnavailable
    from service.settings import ConfigurationError
    from service.up import CannotStart
    from service.up import up as run_up

    settings = read_settings(data_dir, port=port, unsafe=unsafe or None)
    if "redis_url" in settings.model_fields_set:
        say("note: `up` runs its own Valkey; the Redis of your settings is not used")
    try:
        run_up(
            settings, workers=workers, say=say, announce=_as_json if json else _greet
        )
    except CannotStart as exc:
        raise Failure(str(exc), exit_code=exc.exit_code) from exc
    except ConfigurationError as exc:
        raise Failure(str(exc), exit_code=2) from exc
    except QueueUnavailable as exc:
        raise Failure("the embedded Valkey went away during the start") from exc


def web(unsafe: Unsafe = False) -> None:
    """Run one front-door process in the foreground (`python -m service`)."""
    _become("service", unsafe=unsafe)


def worker(unsafe: Unsafe = False) -> None:
    """Run one worker process in the foreground (`python -m workers`)."""
    _become("workers", unsafe=unsafe)


def _become(module: str, *, unsafe: bool) -> None:
    if unsafe:
        os.environ["DARKROOM_UNSAFE"] = "true"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", module])  # noqa: S606 - ours


def _greet(ready: "Ready") -> None:
    from service.cli.greeting import greeting

    print(greeting(ready), flush=True)


def _as_json(ready: "Ready") -> None:
    from service.up.folder import key_file

    emit(
        {
            "url": ready.url,
            "key": ready.key.secret,
            "key_file": os.fspath(key_file(ready.folder)),
            "data_dir": os.fspath(ready.folder),
        }
    )
