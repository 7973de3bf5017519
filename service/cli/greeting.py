"""What `darkroom up` says once it is ready."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.context import shown_path
from service.up.folder import key_file

if TYPE_CHECKING:
    from service.up import Ready

_PROMPT = "a red fox in the snow"


def greeting(ready: "Ready") -> str:
    """Return the text: where, the key, and lines that work when pasted."""
    folder, kept = shown_path(ready.folder), key_file(ready.folder)
    command, option = _command(), _data_dir_option(ready.folder)
    return "\n".join(
        [
            f"Darkroom is up at {ready.url}",
            f"In a browser: {ready.url}/ui (sign in with the API key)",
            "",
            *_about_key(ready, f"{command} keys create{option}"),
            "",
            "Make an image; the answer holds its URL:",
            "",
            curl(ready.url, ready.key.secret, kept),
            "",
            f"Or: {command} generate{option} {shlex.quote(_PROMPT)}",
            f"Data and logs: {folder}   Stop: Ctrl-C",
        ]
    )


def curl(url: str, secret: str | None, kept: Path) -> str:
    """Return a line for a shell that makes an image with `test/test`."""
    key = secret
    if key is None:
        stored = f"$(cat {shlex.quote(shown_path(kept))})"
        key = stored if kept.exists() else "$DARKROOM_API_KEY"
    body = f'{{"model":"test/test","prompt":"{_PROMPT}"}}'
    return (
        f'curl -s {url}/v1/images/generations -H "Authorization: Bearer {key}" '
        f"-H 'Content-Type: application/json' -d '{body}'"
    )


def _about_key(ready: "Ready", create: str) -> list[str]:
    kept = shown_path(key_file(ready.folder))
    match ready.key.origin:
        case "made":
            return [
                f"API key: {ready.key.secret}",
                f"It is shown this once; commands on this machine find it in {kept}.",
            ]
        case "preset":
            return [f"API key: {ready.key.secret} (from DARKROOM_BOOTSTRAP_KEY)"]
        case "kept":
            return [
                "The API key was shown at the first start; this makes another one:",
                f"  {create}",
            ]


def _command() -> str:
    if shutil.which("darkroom"):
        return "darkroom"
    return shlex.quote(shown_path(Path(sys.argv[0])))


def _data_dir_option(folder: Path) -> str:
    if folder == Path(".darkroom").absolute():
        return ""
    return f" --data-dir {shlex.quote(shown_path(folder))}"
