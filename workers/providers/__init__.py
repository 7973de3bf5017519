"""The providers this process can call, by the adapter that speaks to them.

To add one: write `workers/providers/<adapter>.py` and add its name to `ADAPTERS` in
`service.core.catalog`.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

import structlog

from service.core.catalog import Catalog, ProviderEntry
from service.core.provider import Provider
from service.outbound import Outbound

log = structlog.get_logger()

ProviderFactory = Callable[[ProviderEntry, Outbound, str | None], Provider]
"""Takes what the operator wrote, the way out, and the key; None: it needs none."""


def adapter(name: str) -> ProviderFactory:
    """Return the adapter of that name: the class that says so in its module."""
    module = import_module(f"{__name__}.{name}")
    found: ProviderFactory = next(
        kind for kind in vars(module).values() if getattr(kind, "adapter", None) == name
    )
    return found


class KeyMissing(Exception):
    """The provider needs a key, and there is none; the message says where."""


def open_providers(
    catalog: Catalog, outbound: Outbound, environ: Mapping[str, str]
) -> dict[str, Provider]:
    """Return the providers of `catalog` by name; one without its key is left out."""
    providers = {}
    for name, entry in catalog.providers.items():
        try:
            key = api_key(entry, environ)
        except KeyMissing as exc:
            log.info("provider.skipped", provider=name, reason=str(exc))
            continue
        providers[name] = adapter(entry.adapter)(entry, outbound, key)
    return providers


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


def _content(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
