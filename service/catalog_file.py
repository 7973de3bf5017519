"""Reads the catalog from where it lies; what may stand in it, `core` knows."""

from pathlib import Path

from service.core.catalog import Catalog, parse_catalog
from service.core.errors import CatalogError


class LiveCatalog:
    """The catalog in use, which may be replaced by another one, as a whole.

    Whoever serves a request reads `current` once: two readings may differ.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.current = catalog


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
