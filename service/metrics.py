"""What a process counts, in Prometheus's format.

Counting is a few list operations; the client library's own types, with a lock per
increment, would cost a busy front door as much as reading the request does.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10, 30, 60)
_LABELS = ("method", "route", "status")


class Metrics:
    """Counts the front door's requests; for one thread.

    Label values are route templates and known methods, never what a caller made up.

    Args:
        open_streams: Counts who follows events just now.
    """

    def __init__(self, open_streams: Callable[[], int] = lambda: 0) -> None:
        self._open_streams = open_streams
        self._requests: dict[tuple[str, str, int], _Histogram] = {}
        self._made = self._joined = 0
        self._others: Sequence[Metric] = ()
        self._here: Sequence[Metric] = ()
        self._errors = Counter[str]()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def answered(
        self,
        *,
        method: str,
        route: str,
        status: int,
        seconds: float,
        code: str | None = None,
    ) -> None:
        """Count one answer.

        Args:
            method: Of the request.
            route: A template such as `/v1/jobs/{job_id}`.
            status: Of the answer.
            seconds: What it took.
            code: Of the error; None: it is none.
        """
        if code is not None:
            self._errors[code] += 1
        labels = (method if method in _METHODS else "OTHER", route, status)
        histogram = self._requests.get(labels)
        if histogram is None:
            histogram = self._requests[labels] = _Histogram()
        histogram.observe(seconds)

    def submitted(self, *, joined: bool) -> None:
        """Count one accepted call."""
        if joined:
            self._joined += 1
        else:
            self._made += 1

    def beside(self, figures: Sequence[Metric]) -> None:
        """Take in figures of others, which stand on the page until there are newer."""
        self._others = figures

    def here(self, figures: Sequence[Metric]) -> None:
        """Take in what this process sees; likewise."""
        self._here = figures

    def collect(self) -> Iterator[Metric]:
        """Yield all figures, as prometheus-client asks for them."""
        seconds = HistogramMetricFamily(
            "darkroom_http_request_seconds",
            "Time from the headers' arrival to the answer.",
            labels=_LABELS,
        )
        for labels, histogram in self._requests.items():
            buckets, total_s = histogram.cumulative()
            seconds.add_metric([str(x) for x in labels], buckets, total_s)
        yield seconds
        jobs = CounterMetricFamily(
            "darkroom_jobs_submitted",
            "Jobs written down, and calls that joined an earlier one.",
            labels=("outcome",),
        )
        jobs.add_metric(("made",), self._made)
        jobs.add_metric(("joined",), self._joined)
        yield jobs
        yield self._collect_errors()
        yield from self._here
        yield from self._others
        yield GaugeMetricFamily(
            "darkroom_event_streams",
            "Streams of events that are open.",
            value=self._open_streams(),
        )

    def _collect_errors(self) -> Metric:
        errors = CounterMetricFamily(
            "darkroom_errors",
            "Answers that tell of an error, by its code; queue_unavailable is Redis, "
            "store_unavailable the store.",
            labels=("code",),
        )
        for code in sorted({"queue_unavailable", "store_unavailable", *self._errors}):
            errors.add_metric((code,), self._errors[code])
        return errors

    def page(self) -> tuple[bytes, str]:
        """Return all figures and their content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class _Histogram:
    __slots__ = ("_counts", "_total_s")

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_S) + 1)
        self._total_s = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(_BOUNDS_S, seconds)] += 1
        self._total_s += seconds

    def cumulative(self) -> tuple[list[tuple[str, float]], float]:
        bounds = (*(str(bound) for bound in _BOUNDS_S), "+Inf")
        counts = accumulate(float(count) for count in self._counts)
        return list(zip(bounds, counts, strict=True)), self._total_s
