"""Reads the catalog from where it lies; what may stand in it, `core` knows."""

from collections.abc import Callable
from pathlib import Path

import structlog

from service.core.catalog import Catalog, parse_catalog
from service.core.errors import CatalogError
from service.settings import ConfigurationError

log = structlog.get_logger()


class LiveCatalog:
    """The catalog in use, read from `path`; a reload replaces it as a whole.

    Whoever serves a request reads `current` once: two readings may differ.

    Raises:
        CatalogError: See `load_catalog`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._followers = list[Callable[[Catalog], object]]()
        self.current = load_catalog(path)

    def follow(self, adopt: Callable[[Catalog], object]) -> None:
        """Let `adopt` have each catalog that is about to replace the current one.

        With a CatalogError or ConfigurationError it refuses that one, and must not
        have changed anything by then.
        """
        self._followers.append(adopt)

    def reload(self) -> None:
        """Read the file anew; where something in it is wrong, nothing changes."""
        try:
            catalog = load_catalog(self._path)
            for adopt in self._followers:
                adopt(catalog)
        except (CatalogError, ConfigurationError) as exc:
            log.warning("catalog.refused", reason=str(exc))
            return
        self.current = catalog
        log.info(
            "catalog.reloaded",
            providers=len(catalog.providers),
            models=len(catalog.models),
        )


def load_catalog(path: Path) -> Catalog:
    """Read and check the whole catalog at `path`.

    Raises:
        CatalogError: It cannot be read, or something in it is wrong; one sentence.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise CatalogError(
            f"there is no catalog file {path}: set DARKROOM_CATALOG_FILE to one"
        ) from exc
    except UnicodeDecodeError as exc:
        raise CatalogError(f"{path} is not UTF-8 at byte {exc.start}") from exc
    except OSError as exc:
        raise CatalogError(f"cannot read {path}: {exc.strerror}") from exc
    return parse_catalog(text, file=str(path))
