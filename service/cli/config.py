"""`darkroom config`: what is set, and whether it holds together."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from service.cli.context import (
    AsJson,
    DataDir,
    read_catalog,
    read_settings,
)
from service.cli.output import emit, print_table

if TYPE_CHECKING:
    from pydantic import BaseModel

app = typer.Typer(help="Show and check the configuration.", no_args_is_help=True)


@app.command()
def show(data_dir: DataDir = None, json: AsJson = False) -> None:
    """Show every setting, where its value came from, and no secrets."""
    rows = list(_rows(read_settings(data_dir), "DARKROOM_"))
    if json:
        emit({name: {"value": value, "from": origin} for name, value, origin in rows})
    else:
        print_table(["SETTING", "VALUE", "FROM"], rows)


@app.command()
def check(data_dir: DataDir = None, json: AsJson = False) -> None:
    """Check all settings and the catalog, as every process does at its start."""
    settings = read_settings(data_dir)
    catalog = read_catalog(settings)
    result = {
        "catalog_file": os.fspath(settings.catalog_file),
        "providers": len(catalog.providers),
        "models": len(catalog.models),
    }
    if json:
        emit(result)
    else:
        print(
            f"the settings are right, and so is {result['catalog_file']} "
            f"({result['models']} models of {result['providers']} providers)"
        )


def _rows(section: "BaseModel", prefix: str) -> Iterator[tuple[str, Any, str]]:
    from pydantic import BaseModel

    for field in type(section).model_fields:
        value, name = getattr(section, field), prefix + field.upper()
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{name}__")
        elif name in os.environ:
            yield name, _shown(value), "environment"
        elif field in section.model_fields_set:
            yield name, _shown(value), "darkroom.toml or option"
        else:
            yield name, _shown(value), "default"


def _shown(value: Any) -> str | int | float | bool | None:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value is None or isinstance(value, int | float):
        return value
    # A SecretStr shows itself as stars; a URL must be told to.
    text = str(value)
    from service.settings.redis_urls import without_password

    return without_password(text) if "://" in text else text
