"""The queue, its workers and deliveries, as figures of `/metrics`.

They are the fleet's, not this process's: every front door shows the same ones, so that
whoever adds them up over front doors counts double.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from service.job_store.standing import Standing
from service.job_store.tally import Tallied


def standing_figures(standing: Standing) -> Iterator[Metric]:
    """Yield how deep the queue is, and who works at it."""
    ready = GaugeMetricFamily(
        "darkroom_queue_ready",
        "Jobs that wait for a free slot of a worker; estimated where there are many.",
        labels=("priority",),
    )
    for priority, waiting in standing.priorities.items():
        ready.add_metric((priority,), waiting)
    yield ready
    depth = standing.depth
    jobs = GaugeMetricFamily(
        "darkroom_queue_jobs",
        "Unfinished jobs by where they stand; `busy` are in work or between attempts.",
        labels=("place",),
    )
    for place in ("ready", "batch", "interrupted", "blocked", "busy"):
        jobs.add_metric((place,), getattr(depth, place))
    yield jobs
    oldest = standing.oldest
    age = 0.0 if oldest is None else (datetime.now(UTC) - oldest).total_seconds()
    yield GaugeMetricFamily(
        "darkroom_queue_oldest_seconds",
        "Age of the oldest job that waits for a slot; of a sample where there are "
        "many.",
        value=max(0.0, age),
    )
    yield GaugeMetricFamily(
        "darkroom_workers", "Workers that take jobs.", value=len(standing.workers)
    )


def tally_figures(tally: Tallied) -> Iterator[Metric]:
    """Yield what the workers counted."""
    attempts = CounterMetricFamily(
        "darkroom_attempts",
        "Attempts by provider and outcome: succeeded, canceled, or an error's code.",
        labels=("provider", "outcome"),
    )
    for labels, count in sorted(tally.attempts.items()):
        attempts.add_metric(labels, count)
    yield attempts
    cost = CounterMetricFamily(
        "darkroom_cost_usd",
        "What attempts cost, by provider and who says so.",
        labels=("provider", "source"),
    )
    for labels, usd in sorted(tally.cost_usd.items()):
        cost.add_metric(labels, usd)
    yield cost
    stages = HistogramMetricFamily(
        "darkroom_stage_seconds",
        "Time jobs spend: wait (for a worker), attempt, keep (decode and store), "
        "settle (commit), whole (submit to end; like wait, of a sample).",
        labels=("stage", "provider"),
    )
    for labels, histogram in tally.stages.items():
        stages.add_metric(labels, histogram.buckets, histogram.total_s)
    yield stages
    yield CounterMetricFamily(
        "darkroom_leases_lost",
        "Leases that lapsed in a worker's hands and went to another.",
        value=tally.lost,
    )
    errors = CounterMetricFamily(
        "darkroom_worker_errors",
        "Calls of workers to Redis and to the store that went wrong.",
        labels=("part",),
    )
    for part, count in tally.errors.items():
        errors.add_metric((part,), count)
    yield errors


def delivery_figures(counts: Mapping[str, int], late_s: float) -> Iterator[Metric]:
    """Yield how deliveries went; `again` is an attempt with another to come."""
    attempts = CounterMetricFamily(
        "darkroom_deliveries",
        "Ends of deliveries by outcome, and attempts with another to come.",
        labels=("outcome",),
    )
    for outcome, count in sorted(counts.items()):
        attempts.add_metric((outcome,), count)
    yield attempts
    yield GaugeMetricFamily(
        "darkroom_delivery_late_seconds",
        "How late the oldest delivery that is due is.",
        value=late_s,
    )


def pulse_figures(report: Mapping[str, Any]) -> Iterator[Metric]:
    """Yield what this front door says on `/readyz`, too."""
    up = GaugeMetricFamily(
        "darkroom_up",
        "1 while this front door finds it well; the store is asked every ten seconds.",
        labels=("part",),
    )
    up.add_metric(("redis",), float(report["queue"] == "ok"))
    up.add_metric(("store",), float(report["store"] != "unavailable"))
    yield up
    yield GaugeMetricFamily(
        "darkroom_draining", "1 while it drains.", value=float(report["draining"])
    )
    yield GaugeMetricFamily(
        "darkroom_jobs_open", "Unfinished jobs of all.", value=report["open_jobs"]
    )
