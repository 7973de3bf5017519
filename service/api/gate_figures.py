"""Whom the fleet may call, as figures of `/metrics`."""

from collections.abc import Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from service.core.catalog import Catalog
from service.job_store.gates import Gates


def counted_routes(catalog: Catalog) -> Sequence[str]:
    """Return the routes of the catalog whose calls are counted; patterns have none."""
    routes = {
        str(route)
        for model in catalog.models.values()
        if not model.is_pattern
        for route in model.routes
        if catalog.providers[route.provider].is_gated
    }
    return sorted(routes)


def gate_figures(gates: Gates) -> Sequence[Metric]:
    """Return a gauge for each thing that decides whom the next claim may call."""
    calls = _gauge("darkroom_provider_calls", "Calls under way, over the whole fleet.")
    images = _gauge("darkroom_provider_images", "Images that these calls are for.")
    closed = _gauge("darkroom_provider_closed", "1 while a provider asks for patience.")
    for name, gate in gates.providers.items():
        calls.add_metric((name,), gate.running)
        images.add_metric((name,), gate.images)
        closed.add_metric((name,), float(gate.closed_until is not None))
    breakers = GaugeMetricFamily(
        "darkroom_route_broken",
        "1 while a route is not called, but for a try now and then.",
        labels=("route",),
    )
    for route, breaker in gates.routes.items():
        breakers.add_metric((route,), float(breaker.open_until is not None))
    waiting = GaugeMetricFamily(
        "darkroom_jobs_waiting",
        "Jobs none of whose providers takes a call.",
        value=gates.waiting,
    )
    return [calls, images, closed, breakers, waiting]


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=("provider",))
