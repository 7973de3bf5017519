"""Secrets that are planted, and the eyes that look for them where they do not belong.

    watch(secret)           from now on, to the end of the test, nobody may say it
    leaks(b"what came out") the names of those that somebody said

Every front door of the tests watches its keys: an answer or a log line that has one
fails its test, whatever that was about, and at the end of the run none may stand in
what Redis has written to its disk.
"""

import base64
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

_KEY = re.compile(rb"sk_[A-Za-z0-9_-]{8,43}")

_watched: dict[bytes, str] = {}
_always: dict[bytes, str] = {}
_ever: set[bytes] = set()


def watch(secret: str, name: str = "", *, always: bool = False) -> str:
    """Return the secret.

    Args:
        secret: To be looked for, in all its spellings.
        name: What a leak is called by.
        always: Whether in all tests.
    """
    names = _always if always else _watched
    for spelled in spellings(secret):
        names[spelled] = name or f"{secret[:8]}..."
    _ever.add(secret.encode())
    return secret


def forget() -> None:
    """A test is over: look no more for what was its own."""
    _watched.clear()


def spellings(secret: str) -> Iterator[bytes]:
    """The secret as it is written in URLs, headers and dumps."""
    raw = secret.encode()
    yield raw
    yield quote(secret, safe="").encode()
    yield raw.hex().encode()
    yield base64.b64encode(raw).rstrip(b"=")
    yield base64.urlsafe_b64encode(raw).rstrip(b"=")


def leaks(said: bytes | str) -> list[str]:
    """Return the names of the secrets that stand in `said`."""
    heard = said.encode(errors="replace") if isinstance(said, str) else said
    known = {**_always, **_watched}
    return sorted({name for text, name in known.items() if text in heard})


def leaks_in(folder: Path) -> list[str]:
    """Return the names of the secrets that stand in any file below `folder`."""
    return sorted({name for text in _contents(folder) for name in leaks(text[:])})


def keys_in(folder: Path) -> list[bytes]:
    """Return what of all keys that were ever watched stands in any file there."""
    return sorted(
        key for text in _contents(folder) for key in _KEY.findall(text) if key in _ever
    )


def _contents(folder: Path) -> Iterator[mmap.mmap]:
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size:
            with (
                path.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            ):
                yield content
