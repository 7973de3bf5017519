"""The providers this process can call, by the adapter that speaks to them.

To add one: write `workers/providers/<adapter>.py` and add its name to `ADAPTERS` in
`service.core.catalog`.
"""

from collections.abc import Callable, Mapping
from importlib import import_module

import structlog

from service.core.catalog import Catalog, ProviderEntry
from service.core.errors import CatalogError
from service.core.provider import Provider
from service.outbound import Outbound
from service.provider_keys import KeyMissing, api_key

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


def open_providers(
    catalog: Catalog, outbound: Outbound, environ: Mapping[str, str]
) -> dict[str, Provider]:
    """Return the providers of `catalog` by name; one without its key is left out.

    Raises:
        CatalogError: What the catalog says of one is of no use to its adapter.
    """
    providers = {}
    for name, entry in catalog.providers.items():
        try:
            key = api_key(entry, environ)
        except KeyMissing as exc:
            log.info("provider.skipped", provider=name, reason=str(exc))
            continue
        try:
            providers[name] = adapter(entry.adapter)(entry, outbound, key)
        except (OSError, ValueError) as exc:  # such as a workflow that is not JSON
            raise CatalogError(f"providers.{name} cannot be opened: {exc}") from exc
    return providers
