"""Providers: whom the fleet may call, how each fares, and a try at once.

What calls took and cost is read from the account's own latest jobs, and kept for a few
seconds: that shows nothing of others, and no step of a job has to count for it.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import quantiles
from typing import Any, NamedTuple

from aiohttp import web

from service.accounts import ApiKey, Scope
from service.api.context import FRONT, Front
from service.api.dashboard.advice import advice
from service.api.dashboard.frame import Pages
from service.api.dashboard.rendering import page
from service.api.providers import tried
from service.core.catalog import Catalog, ProviderEntry
from service.core.jobs import Attempt, Job
from service.job_store.gates import Breaker, ProviderGate
from service.provider_keys import has_key

pages = Pages()
RECENT = web.AppKey("recent", dict[str, "Recent"])

NO_KEY = "no key"
_JOBS = 500
_TRUST_S = 5.0
_MOST_ACCOUNTS = 500
_CURVE = 32
_ERRORS = 3


class Recent(NamedTuple):
    """What an account's latest attempts were, by provider, the newest first."""

    until: float
    attempts: dict[str, list[Attempt]]


class Turn(NamedTuple):
    """Which of a model's routes leads here: they are tried in that order."""

    model: str
    place: int
    of: int


class Said(NamedTuple):
    """Something that went wrong lately."""

    code: str
    at_s: float | None
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One provider as the page shows it.

    Attributes:
        kind: How it stands, as a state's look.
        word: The same in words.
        note: What to do about it; empty: nothing.
        breakers: Routes that nobody calls just now.
        calls: How many attempts the figures are of.
        failed: Of a hundred; None: there were none.
        today_usd: Of attempts that began today (UTC).
        curve: Milliseconds of the latest, the oldest first.
    """

    entry: ProviderEntry
    gate: ProviderGate | None
    kind: str
    word: str
    note: str
    models: Sequence[Turn]
    breakers: dict[str, Breaker]
    calls: int = 0
    failed: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    today_usd: float = 0.0
    curve: Sequence[float] = ()
    errors: Sequence[Said] = field(default=())


@pages.get("/ui/providers")
async def show_providers(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show a card for each provider that is in use or could be."""
    cards = await _cards(request, key)
    return page(
        request,
        "providers.html",
        key=key,
        part="cards",
        cards=[card for card in cards if card.word != NO_KEY],
        idle=[card for card in cards if card.word == NO_KEY],
        advice=advice,
    )


@pages.post("/ui/providers/{provider}/test", scope=Scope.ADMIN)
async def test_provider(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Make one smallest image with it, and show what that came to."""
    result = await tried(request.app[FRONT], request.match_info["provider"])
    return page(request, "provider_test.html", key=key, result=result)


async def _cards(request: web.Request, key: ApiKey) -> list[Card]:
    front = request.app[FRONT]
    catalog = front.catalog
    routes = {str(r) for m in catalog.models.values() for r in m.routes}
    gates = await front.backends.jobs.gates(sorted(routes & set(_plain(catalog))))
    attempts = await _attempts_of(front, request.app[RECENT], key.account)
    cards = []
    for name, entry in catalog.providers.items():
        own = {r: b for r, b in gates.routes.items() if r.startswith(f"{name}/")}
        gate = gates.providers.get(name)
        kind, word, note = _standing(front, entry, gate, own)
        cards.append(
            Card(
                entry=entry,
                gate=gate,
                kind=kind,
                word=word,
                note=note,
                models=_models_of(name, catalog),
                breakers={r: b for r, b in own.items() if b.open_until is not None},
                **_figures(attempts.get(name, [])),
            )
        )
    return sorted(cards, key=lambda card: (card.word == NO_KEY, -card.calls))


def _plain(catalog: Catalog) -> Sequence[str]:
    """Return the routes of models that are no patterns, the test ones too."""
    return [
        str(route)
        for model in catalog.models.values()
        if not model.is_pattern
        for route in model.routes
    ]


def _standing(
    front: Front,
    entry: ProviderEntry,
    gate: ProviderGate | None,
    breakers: dict[str, Breaker],
) -> tuple[str, str, str]:
    """Return how it looks, what that is called, and what to do."""
    if gate is None or gate.served_at is None:
        return _unserved(front, entry)
    if gate.closed_until is not None:
        return "warning", "asks for patience", "It is left alone until then."
    broken = [b for b in breakers.values() if b.open_until is not None]
    if broken and len(broken) == len(breakers):
        return "failed", "open", "Calls failed in a row; one is tried now and then."
    if broken:
        return "warning", "partly open", "Some of its routes fail in a row."
    return "succeeded", "healthy", ""


def _unserved(front: Front, entry: ProviderEntry) -> tuple[str, str, str]:
    if not has_key(entry, os.environ):
        place = entry.api_key_env or entry.api_key_file
        return "queued", NO_KEY, f"Set {place} for the workers."
    if not front.fleet.workers:
        return "failed", "no worker", "Start darkroom worker."
    return "warning", "not served", "No worker that is alive can call it."


def _models_of(name: str, catalog: Catalog) -> list[Turn]:
    turns = []
    for model in catalog.models.values():
        providers = [route.provider for route in model.routes]
        if name in providers:
            place = providers.index(name) + 1
            turns.append(Turn(model.name, place, len(providers)))
    return turns


async def _attempts_of(
    front: Front, recent: dict[str, Recent], account: str
) -> dict[str, list[Attempt]]:
    known = recent.get(account)
    if known is not None and known.until > time.monotonic():
        return known.attempts
    listed = await front.backends.jobs.list_jobs(account, limit=_JOBS)
    attempts = by_provider(listed.jobs)
    if len(recent) >= _MOST_ACCOUNTS:
        recent.clear()
    recent[account] = Recent(time.monotonic() + _TRUST_S, attempts)
    return attempts


def by_provider(jobs: Sequence[Job]) -> dict[str, list[Attempt]]:
    """Return what was tried for some jobs, by provider, the newest first."""
    found: dict[str, list[Attempt]] = {}
    for job in jobs:
        for attempt in reversed(job.trail):
            if attempt.provider and attempt.ms is not None:
                found.setdefault(attempt.provider, []).append(attempt)
    return found


def _figures(attempts: Sequence[Attempt]) -> dict[str, Any]:
    if not attempts:
        return {}
    today = datetime.now(UTC).date()
    good = [float(a.ms or 0) for a in attempts if a.outcome == "succeeded"]
    bad = [a for a in attempts if a.outcome == "failed"]
    cuts = quantiles(good, n=20, method="inclusive") if len(good) > 1 else good * 19
    return {
        "calls": len(attempts),
        "failed": 100 * len(bad) / len(attempts),
        "p50_ms": cuts[9] if cuts else None,
        "p95_ms": cuts[18] if cuts else None,
        "today_usd": sum(
            float(a.cost_usd)
            for a in attempts
            if a.cost_usd and a.started_at and a.started_at.date() == today
        ),
        "curve": good[:_CURVE][::-1],
        "errors": [_said(attempt) for attempt in bad[:_ERRORS]],
    }


def _said(attempt: Attempt) -> Said:
    at = attempt.started_at
    at_s = None if at is None else at.timestamp()
    return Said(attempt.error_code or "failed", at_s, attempt.model)
