"""`darkroom models`: what may be asked for, what it costs, and who can make it."""

import asyncio
import os
from typing import TYPE_CHECKING, Any

import typer

from service.cli.context import AsJson, DataDir, read_catalog, read_settings
from service.cli.fleet import seen_gates
from service.cli.output import emit, print_table

if TYPE_CHECKING:
    from service.core.catalog import Catalog, Model
    from service.core.sizing import Sizing
    from service.job_store.gates import Gates

app = typer.Typer(help="List the models of the catalog.", no_args_is_help=True)


@app.command("list")
def list_models(data_dir: DataDir = None, json: AsJson = False) -> None:
    """List the models: features, sizes, price in US dollars, routes, and who can.

    HERE: the key of one of its routes is in this environment, or none is needed.
    FLEET: a worker that is alive can call one of them.
    """
    settings = read_settings(data_dir)
    catalog = read_catalog(settings)
    gates = asyncio.run(seen_gates(settings, catalog))
    shown = [_described(model, catalog, gates) for model in catalog.models.values()]
    if json:
        emit(shown)
        return
    print_table(
        ["MODEL", "PRICE", "HERE", "FLEET", "ROUTES", "SIZES", "FEATURES"],
        [_row(model) for model in shown],
    )


def _described(
    model: "Model", catalog: "Catalog", gates: "Gates | None"
) -> dict[str, Any]:
    from service.api.models_map import price_range
    from service.provider_keys import has_key

    providers, usd = {route.provider for route in model.routes}, price_range(model)
    return {
        "name": model.name,
        "aliases": [a for a, name in catalog.aliases.items() if name == model.name],
        "features": sorted(model.features),
        "sizes": _sizes(model.sizing),
        "price_usd": {"min": usd["min"], "usual": usd["average"], "max": usd["max"]},
        "routes": [str(route) for route in model.routes],
        "usable_here": any(
            has_key(catalog.providers[name], os.environ) for name in providers
        ),
        "usable_by_fleet": None if gates is None else _is_served(providers, gates),
    }


def _is_served(providers: set[str], gates: "Gates") -> bool:
    return any(gates.providers[name].served_at is not None for name in providers)


def _sizes(sizing: "Sizing") -> list[str]:
    """Return the sizes there are, or one entry that says within which bounds."""
    from service.core.sizing import ExactSizes

    offer = sizing.offer
    if isinstance(offer, ExactSizes):
        return [str(size) for size in offer.sizes]
    return [f"{offer.shortest} to {offer.longest} by {offer.multiple}"]


def _row(shown: dict[str, Any]) -> tuple[object, ...]:
    first, *more = shown["sizes"]
    return (
        shown["name"],
        _price(shown["price_usd"]),
        _word(shown["usable_here"]),
        _word(shown["usable_by_fleet"]),
        ", ".join(shown["routes"]),
        f"{first} and {len(more)} more" if more else first,
        ", ".join(shown["features"]),
    )


def _price(usd: dict[str, float | None]) -> str | None:
    least, most = usd["min"], usd["max"]
    if least is None or least == most:
        return None if least is None else f"{least:g}"
    return f"{least:g} to {most:g}"


def _word(is_so: bool | None) -> str | None:
    return None if is_so is None else "yes" if is_so else "no"
