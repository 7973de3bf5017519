"""Reads the three ways in which a model's entry says what it can draw.

    sizes = ["1024x1024", ...]                     these, the first by default
    size_multiple, size_min, size_max              any within bounds; with
        max_megapixels, max_ratio, default_size    these if it has them
    ratios = ["1:1", ...], tiers = ["1K", ...]     nominal sizes, computed

and `snap = false` where another size is to be refused instead of replaced.
"""

from decimal import Decimal

from service.core.catalog.table import Table
from service.core.errors import InvalidRequest
from service.core.sizing import (
    LARGEST_SIDE,
    TIERS,
    ExactSizes,
    FreeSizes,
    Size,
    Sizing,
    parse_size,
    sizes_of,
)


def read_sizing(table: Table) -> Sizing:
    """Read a model's sizing keys from its `table`.

    Raises:
        Mistake: They are wrong, none of the three ways, or more than one.
    """
    offers = [
        offer
        for offer in (_listed(table), _free(table), _by_ratio(table))
        if offer is not None
    ]
    if len(offers) != 1:
        raise table.wrong(
            "sizes", "give one of sizes, size_multiple with bounds, ratios with tiers"
        )
    return Sizing(offers[0], snap=table.flag("snap") is not False)


def _listed(table: Table) -> ExactSizes | None:
    texts = table.texts("sizes")
    return None if texts is None else ExactSizes(_sizes(table, "sizes", texts))


def _by_ratio(table: Table) -> ExactSizes | None:
    ratios = table.texts("ratios")
    if ratios is None:
        return None
    tiers = table.choices("tiers", tuple(TIERS))
    try:
        return ExactSizes(sizes_of(ratios, tiers or ("1K",)))
    except InvalidRequest as exc:
        raise table.wrong("ratios", "must be WIDTH:HEIGHT, such as 16:9") from exc


def _free(table: Table) -> FreeSizes | None:
    multiple = table.whole("size_multiple", 1, 1024)
    if multiple is None:
        return None
    shortest = table.whole("size_min", 1, LARGEST_SIDE)
    longest = table.whole("size_max", 1, LARGEST_SIDE)
    megapixels = table.number("max_megapixels", Decimal("0.001"), 1000)
    max_ratio = table.number("max_ratio", 1, 64)
    default = table.text("default_size")
    shortest, longest = shortest or multiple, table.required("size_max", longest)
    if shortest > longest or shortest % multiple or longest % multiple:
        raise table.wrong(
            "size_min", "size_min and size_max must be multiples in order"
        )
    offer = FreeSizes(
        multiple=multiple,
        shortest=shortest,
        longest=longest,
        max_pixels=int(megapixels * 1_000_000) if megapixels else longest * longest,
        max_ratio=float(max_ratio) if max_ratio else longest / shortest,
        default=_sizes(table, "default_size", (default or "1024x1024",))[0],
    )
    if offer.max_pixels < (shortest + multiple) ** 2:
        raise table.wrong("max_megapixels", "leaves no room above size_min")
    if offer.nearest(offer.default) != offer.default:
        raise table.wrong("default_size", f"{offer.default} is out of bounds")
    return offer


def _sizes(table: Table, key: str, texts: tuple[str, ...]) -> tuple[Size, ...]:
    try:
        return tuple(parse_size(text) for text in texts)
    except InvalidRequest as exc:
        raise table.wrong(key, "must be WIDTHxHEIGHT, such as 1024x1024") from exc
