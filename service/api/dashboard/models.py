"""Models as the playground's picker shows them: price, speed, and who could draw."""

from typing import NamedTuple

from service.accounts import ApiKey
from service.api.context import Front
from service.core.catalog import Catalog, Model
from service.core.sizing import Size
from service.intake.permits import allows


class Choice(NamedTuple):
    """One model.

    Attributes:
        usd: Dollars for an image of the usual size; None: nobody knows.
        ms: What its first route took of late; None: nobody measured.
        available: Whether a worker that is alive can call one of its routes.
        needs: The variables that hold its providers' keys.
        takes_images: Whether it can start from references.
        most: Images of one request.
    """

    name: str
    usd: float | None
    ms: float | None
    available: bool
    needs: tuple[str, ...]
    takes_images: bool
    most: int


async def choices(front: Front, key: ApiKey) -> list[Choice]:
    """Return what the key may ask for, best first: what can be drawn now leads.

    Raises:
        QueueUnavailable: Redis is away.
    """
    catalog = front.catalog
    models = [
        model
        for model in catalog.models.values()
        if not model.is_pattern and allows(key, model, catalog)
    ]
    routes = [str(route) for model in models for route in model.routes]
    speeds = await front.backends.jobs.speeds(routes)
    found = [_choice(front, model, dict(speeds)) for model in models]
    return sorted(found, key=lambda one: (not one.available, bool(one.needs)))


def needs_of(model: Model, catalog: Catalog) -> tuple[str, ...]:
    """Return the variables that hold the keys of the model's providers."""
    entries = (catalog.providers.get(route.provider) for route in model.routes)
    names = (entry.api_key_env for entry in entries if entry is not None)
    return tuple(dict.fromkeys(name for name in names if name))


def _choice(front: Front, model: Model, speeds: dict[str, float]) -> Choice:
    size: Size = model.sizing.offer.default
    price = model.price_for(quality=None, size=str(size), tier=size.tier)
    return Choice(
        name=model.name,
        usd=None if price is None else float(price),
        ms=next((speeds[r] for r in map(str, model.routes) if r in speeds), None),
        available=front.fleet.can_call(model.routes),
        needs=needs_of(model, front.catalog),
        takes_images="edit" in model.features,
        most=model.max_n,
    )
