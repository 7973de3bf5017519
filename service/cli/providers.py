"""`darkroom providers`: whom the catalog names, what the fleet sees, and a try."""

import asyncio
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.context import AsJson, DataDir, read_catalog, read_settings
from service.cli.failure import Failure
from service.cli.fleet import seen_gates
from service.cli.output import emit, print_facts, print_table

if TYPE_CHECKING:
    from service.core.catalog import Catalog, ProviderEntry
    from service.job_store.gates import Gates

app = typer.Typer(help="List and test providers.", no_args_is_help=True)


@app.command("list")
def list_providers(data_dir: DataDir = None, json: AsJson = False) -> None:
    """List the catalog's providers: keys here, and what the fleet sees of each."""
    settings = read_settings(data_dir)
    catalog = read_catalog(settings)
    gates = asyncio.run(seen_gates(settings, catalog))
    shown = [_described(entry, catalog, gates) for entry in catalog.providers.values()]
    if json:
        emit(shown)
        return
    print_table(
        ["NAME", "ADAPTER", "KEY", "MODELS", "RUNNING", "WAITING", "FLEET"],
        [_row(provider) for provider in shown],
    )


@app.command("test")
def try_provider(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As the catalog says.")],
    *,
    model: Annotated[
        str | None, typer.Option(help="Unsaid: the cheapest that it has.")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Unsaid: one of our own.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File for the image.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Make one smallest image with a provider, past the queue; it may cost money."""
    options = {"--model": model, "--prompt": prompt, "--output": output}
    given = [f"{key}={value}" for key, value in options.items() if value is not None]
    result = _tried([*given, "--", name])
    error = result["error"]
    if json:
        emit(result)
    elif error is None:
        print_facts(_facts(result))
    if error is not None:
        raise Failure(f"{error['code']}: {error['message']}")


def _tried(arguments: list[str]) -> dict[str, Any]:
    """Test in a process of the workers': adapters are theirs, and they load them."""
    import json

    command = [sys.executable, "-P", "-m", "workers", "test", *arguments]
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=False)  # noqa: S603 - ours
    if not ran.stdout:  # it has said on stderr why
        sys.exit(ran.returncode)
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


def _described(
    entry: "ProviderEntry", catalog: "Catalog", gates: "Gates | None"
) -> dict[str, Any]:
    from service.provider_keys import has_key

    return {
        "name": entry.name,
        "adapter": entry.adapter,
        "base_url": entry.base_url or None,
        "key_from": entry.api_key_env or entry.api_key_file,
        "has_key": has_key(entry, os.environ),
        "models": [
            model.name
            for model in catalog.models.values()
            if any(route.provider == entry.name for route in model.routes)
        ],
        "max_in_flight": entry.max_in_flight,
        "requests_per_minute": entry.requests_per_minute,
        "timeout_s": entry.timeout.total_seconds(),
        "fleet": None if gates is None else _fleet(entry.name, gates),
    }


def _fleet(name: str, gates: "Gates") -> dict[str, Any] | None:
    gate = gates.providers.get(name)
    if gate is None:  # no model has a route there
        return None
    return {
        "served": gate.served_at is not None,
        "running": gate.running,
        "waiting": gate.waiting,
        "closed_until": gate.closed_until and gate.closed_until.isoformat(),
        "open_breakers": {
            route: breaker.open_until.isoformat()
            for route, breaker in gates.routes.items()
            if route.startswith(f"{name}/") and breaker.open_until is not None
        },
    }


def _row(shown: dict[str, Any]) -> tuple[object, ...]:
    fleet, most = shown["fleet"], shown["max_in_flight"]
    has_key = "yes" if shown["has_key"] else "no"
    of = "" if most is None else f" of {most}"
    return (
        shown["name"],
        shown["adapter"],
        has_key if shown["key_from"] else None,
        len(shown["models"]),
        None if fleet is None else f"{fleet['running']}{of}",
        None if fleet is None else fleet["waiting"],
        None if fleet is None else _state(fleet),
    )


def _state(fleet: dict[str, Any]) -> str:
    if not fleet["served"]:
        return "no worker calls it"
    if fleet["closed_until"] is not None:
        until = datetime.fromisoformat(fleet["closed_until"]).astimezone()
        return f"closed until {until:%H:%M:%S}"
    if breakers := fleet["open_breakers"]:
        return f"breaker open: {', '.join(breakers)}"
    return "ready"


def _facts(result: dict[str, Any]) -> list[tuple[str, object]]:
    usd, source = result["cost_usd"], result["cost_source"]
    facts: list[tuple[str, object]] = [
        ("route", f"{result['provider']}/{result['provider_model']}"),
        ("took", f"{result['ms']} ms"),
        ("cost", None if usd is None else f"${usd:g} ({source})"),
        ("image", f"{result['size']} {result['content_type']}"),
        ("bytes", f"{result['size_bytes']:,}"),
    ]
    return [*facts, ("file", result["file"])] if result["file"] else facts
