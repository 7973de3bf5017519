"""Models and their routes, as one TOML file names them; secrets never do."""

from service.core.catalog.model import (
    Catalog,
    Model,
    Price,
    ProviderEntry,
    Quote,
    Route,
)
from service.core.catalog.parse import ADAPTERS, FEATURES, parse_catalog

__all__ = [
    "ADAPTERS",
    "FEATURES",
    "Catalog",
    "Model",
    "Price",
    "ProviderEntry",
    "Quote",
    "Route",
    "parse_catalog",
]
