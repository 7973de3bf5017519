"""What `darkroom doctor` says of providers: their keys, and whether they are there.

Nothing is asked of a provider that could cost anything: a key that it does not
accept, `darkroom providers test` finds.
"""

from collections.abc import Iterator, Mapping, Sized

from service.core.catalog import Catalog, ProviderEntry
from service.doctor.findings import Finding, Grade
from service.doctor.reach import reach
from service.provider_keys import has_key


def provider_findings(
    catalog: Catalog, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Look at the keys of all providers, and knock at those that can be called."""
    outside = [p for p in catalog.providers.values() if p.adapter != "test"]
    ready = [entry for entry in outside if has_key(entry, environ)]
    if outside:
        yield _keys(ready, outside, catalog)
    troubles = reach({entry.name: entry.base_url for entry in ready})
    for entry in ready:
        yield _reached(entry, troubles[entry.name])


def _keys(
    ready: list[ProviderEntry], outside: list[ProviderEntry], catalog: Catalog
) -> Finding:
    if not ready:
        places = (entry.api_key_env or entry.api_key_file for entry in outside)
        return Finding(
            Grade.WARNING,
            "keys",
            "no provider has its key, so there are test images only",
            f"put one's key into its place, such as {next(places)}; "
            "`darkroom providers list` names them all",
        )
    missing = {entry.name for entry in outside} - {entry.name for entry in ready}
    lost = [
        model
        for model in catalog.models.values()
        if all(route.provider in missing for route in model.routes)
    ]
    text = ", ".join(entry.name for entry in ready)
    if missing:
        text += f"; {_counted(missing, 'other provider')} "
        text += "has no key" if len(missing) == 1 else "have no key"
    if lost:
        text += f", so {_counted(lost, 'model')} cannot be made"
    return Finding(Grade.OK, "keys", text)


def _counted(things: Sized, name: str) -> str:
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"


def _reached(entry: ProviderEntry, trouble: str | None) -> Finding:
    subject, where = f"provider {entry.name}", entry.base_url
    if trouble is None:
        return Finding(Grade.OK, subject, f"is there, at {where}")
    text = f"cannot be reached at {where}: {trouble}"
    remedy = "look after the network, or its base_url in the catalog"
    return Finding(Grade.WARNING, subject, text, remedy)
