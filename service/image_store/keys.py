"""What an image key may look like; whatever looks otherwise is not there.

A part never begins with a dot, so no key is `..`, and none reaches a hidden file.
"""

import re

_PART = r"[a-z0-9_-][a-z0-9_.-]{0,199}"
_KEY = re.compile(rf"{_PART}(/{_PART}){{0,15}}")
_PREFIX = re.compile(rf"({_PART}/){{0,15}}({_PART})?")


def is_key(key: str) -> bool:
    """Whether `key` could have been made by this server."""
    return _KEY.fullmatch(key) is not None


def is_prefix(prefix: str) -> bool:
    """Whether a key could begin with `prefix`; the empty one begins them all."""
    return _PREFIX.fullmatch(prefix) is not None


def checked(key: str) -> str:
    """Return `key`.

    Raises:
        ValueError: It is no key; nobody outside can cause this, so it is a bug.
    """
    if not is_key(key):
        raise ValueError(f"not an image key: {key!r}")
    return key
