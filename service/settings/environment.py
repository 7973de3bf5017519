"""The names of settings in the environment, and what is wrong with those there."""

import json
import os
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError

from service.settings.sections import Section

PREFIX = "DARKROOM_"
_PLAIN = {"PORT": "DARKROOM_PORT", "REDIS_URL": "DARKROOM_REDIS_URL"}
_NOT_SETTINGS = frozenset(
    {
        "DARKROOM_PARENT_FD",
        "DARKROOM_URL",
        "DARKROOM_API_KEY",
        "DARKROOM_TEST_POISON",
    },
)
"""What `up` tells its children, what the commands read as clients, what tests arm."""


class ConfigurationError(Exception):
    """A setting is unknown, contradictory or out of range; the message says which."""


def adopt(known: set[str]) -> None:
    """Bring plain and `_FILE` names into `DARKROOM_` ones; refuse unknown ones.

    Args:
        known: Names of all settings.

    Raises:
        ConfigurationError: A name is unknown, or its file cannot be read.
    """
    for name, ours in _PLAIN.items():
        if name in os.environ:
            os.environ.setdefault(ours, os.environ[name])
    for name in [n for n in os.environ if n.startswith(PREFIX)]:
        if name in known or name in _NOT_SETTINGS:
            continue
        target = name.removesuffix("_FILE")
        if target == name or target not in known:
            raise ConfigurationError(
                f"unknown setting {name}: `darkroom config show` lists all of them"
            )
        try:
            secret = Path(os.environ[name]).read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise ConfigurationError(f"{name}: cannot read the file: {exc}") from exc
        except UnicodeDecodeError as exc:
            raise ConfigurationError(f"{name}: the file is not UTF-8 text") from exc
        os.environ.setdefault(target, secret)
        del os.environ[name]


def not_json(model: type[BaseModel]) -> str:
    """Return what is wrong with the lists in the environment of which one is no JSON.

    The library says only in which section that stands.
    """
    for name, kind in sorted(kinds_of(model).items()):
        if get_origin(kind) is list and not _is_json(os.environ.get(name, "[]")):
            return f"{name}: must be a list in JSON, in brackets, text in quotes"
    return "a list in the environment is not JSON"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def kinds_of(model: type[BaseModel], prefix: str = PREFIX) -> dict[str, Any]:
    """Return the variables that set the fields of `model`, and of its sections.

    What each is to be comes with it.
    """
    kinds: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            kinds |= kinds_of(kind, f"{prefix}{name.upper()}__")
        else:
            kinds[f"{prefix}{name.upper()}"] = kind
    return kinds


def sentence(exc: ValidationError) -> str:
    """Return which variables are wrong, and why."""
    parts = []
    for error in exc.errors():
        name = PREFIX + "__".join(str(part).upper() for part in error["loc"])
        reason = error["msg"].removeprefix("Value error, ")
        parts.append(f"{name}: {reason[:1].lower()}{reason[1:]}")
    return "; ".join(parts)
