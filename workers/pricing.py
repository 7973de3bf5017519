"""What an attempt cost: as the provider says, or by the catalog's price."""

from service.core.catalog import Catalog
from service.core.errors import ProviderError, UnknownModel
from service.core.provider import Generated
from service.core.requests import GenerationRequest
from service.core.sizing import Size

_MOST_USD = 10_000
"""A provider that reports more for one call is not speaking of dollars."""

Cost = tuple[str | None, str | None]
"""US dollars as decimal text, and who says so; see `Attempt`."""


def spent(
    catalog: Catalog,
    request: GenerationRequest,
    error: ProviderError,
    made: Generated | None,
) -> Cost:
    """Return what a failed attempt cost, as far as it was billed for certain."""
    if error.billed is not True:
        return None, None
    return cost(catalog, request, made, request.n)


def cost(
    catalog: Catalog, request: GenerationRequest, made: Generated | None, count: int
) -> Cost:
    """Return what `count` images cost; the provider's word wins."""
    said = None if made is None else made.cost_usd
    if said is not None and said.is_finite() and 0 <= said <= _MOST_USD:
        return str(said), "reported"
    try:
        model = catalog.model(request.model)
    except UnknownModel:  # gone from the catalog, while the job waited
        return None, None
    quote = model.quote_for(
        quality=request.quality,
        size=request.size,
        tier=Size(request.width, request.height).tier,
    )
    return (None, None) if quote is None else (str(quote.usd * count), quote.source)
