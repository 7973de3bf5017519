"""Which front door a command talks to, and with which key."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from service.cli.context import read_settings
from service.cli.failure import Failure

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="DARKROOM_URL",
        help="The front door; unsaid: that of `darkroom up` in the data folder.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Target:
    """A front door and a key to it."""

    url: str
    key: str


def find_target(url: str | None, data_dir: Path | None) -> Target:
    """Return what the environment says, else what runs on the data folder.

    The key kept in a data folder goes to the front door of that folder only.

    Raises:
        Failure: There is no URL or no key.
    """
    key = os.environ.get("DARKROOM_API_KEY", "").strip() or None
    if url is not None:
        if not is_http(url):
            raise Failure(f"{url} is no http:// or https:// URL", exit_code=2)
        return Target(url.rstrip("/"), _checked(key))
    return _running(key, data_dir)


def _running(key: str | None, data_dir: Path | None) -> Target:
    from service.up.folder import read_key, read_runtime

    folder = read_settings(data_dir).data_dir
    runtime = read_runtime(folder)
    if runtime is None or not runtime.url:
        raise Failure(
            f"nothing runs on the data folder {folder}: start `darkroom up`, or set "
            "DARKROOM_URL and DARKROOM_API_KEY",
            exit_code=2,
        )
    return Target(runtime.url, _checked(key or read_key(folder)))


def is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _checked(key: str | None) -> str:
    if key is None:
        raise Failure(
            "no API key: set DARKROOM_API_KEY (`darkroom keys create` makes one)",
            exit_code=2,
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise Failure("DARKROOM_API_KEY holds no API key", exit_code=2)
    return key
