"""Where the key of a provider is: in a variable or a file that the catalog names."""

from collections.abc import Mapping
from pathlib import Path

from service.core.catalog import ProviderEntry


class KeyMissing(Exception):
    """The provider needs a key, and there is none; the message says where."""


def api_key(entry: ProviderEntry, environ: Mapping[str, str]) -> str | None:
    """Return the key of `entry`; None when it needs none.

    Raises:
        KeyMissing: Its variable is not set, or its file cannot be read.
    """
    if entry.api_key_env is not None:
        key, place = environ.get(entry.api_key_env, ""), entry.api_key_env
    elif entry.api_key_file is not None:
        key, place = _content(entry.api_key_file), entry.api_key_file
    else:
        return None
    if not key.strip():
        raise KeyMissing(f"no key in {place}")
    return key.strip()


def has_key(entry: ProviderEntry, environ: Mapping[str, str]) -> bool:
    """Whether `entry` can be called: its key is there, or it needs none."""
    try:
        api_key(entry, environ)
    except KeyMissing:
        return False
    return True


def _content(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
