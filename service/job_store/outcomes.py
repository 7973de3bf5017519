"""What an attempt came to, and how that is written down."""

from dataclasses import dataclass, replace
from datetime import timedelta
from operator import attrgetter
from typing import Any, Self

import orjson

from service.core.jobs import Attempt, JobState, StoredImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """What was tried beside the attempt that decided, on another route.

    Attributes:
        report: What it says of its route, as that of an attempt.
        closed: For how long its provider takes no calls.
    """

    attempt: Attempt
    report: str = ""
    closed: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one attempt came to, ready to be committed.

    Attributes:
        state: `succeeded` or `failed`.
        error: What failed, or what a partial success lacks.
        asked: How many images the request wanted; reserved quota units are charged
            for the part that was delivered.
        model: The canonical name of the model that is counted as used; None: none.
        fault: What a failure says of its route: `fault`, `shut`, or nothing.
        aside: What was tried beside the attempt; None: nothing.
    """

    state: JobState
    attempt: Attempt
    images: tuple[StoredImage, ...] = ()
    error: dict[str, Any] | None = None
    usage: dict[str, int] | None = None
    cost_usd: str | None = None
    cost_source: str | None = None
    asked: int = 1
    model: str | None = None
    fault: str = ""
    aside: Aside | None = None

    @property
    def report(self) -> str:
        """What the outcome says of its route, for the breaker all workers share."""
        return "ok" if self.state is JobState.SUCCEEDED else self.fault

    def result_json(self) -> bytes:
        """Return what the record's `result` holds; empty without images."""
        if not self.images:
            return b""
        result = {
            "images": [_fields(image) for image in self.images],
            "usage": self.usage,
            "cost_usd": self.cost_usd,
        }
        if self.cost_source is not None:
            result["cost_source"] = self.cost_source
        return orjson.dumps(result)

    @property
    def costs(self) -> tuple[str | None, str | None]:
        """What the images cost, or else the attempt that failed, and who says so."""
        if self.images:
            return self.cost_usd, self.cost_source
        return self.attempt.cost_usd, self.attempt.cost_source

    def without_words(self) -> Self:
        """Return it without revised prompts, which tell what the prompt was."""
        images = tuple(replace(image, revised_prompt=None) for image in self.images)
        return replace(self, images=images)


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """A failed attempt with another to come.

    Attributes:
        wait: Until then.
        goes_on: Whether what was submitted upstream may still come to an end.
        report: What it says of its route; see `Leases.retry`, also for the others.
        closed: For how long the provider takes no calls.
        costly: Whether the attempt may have been billed.
        routes: Those left, best first; empty: as they were.
        hold: Whether it waits until somebody releases it.
        aside: What was tried beside the attempt; None: nothing.
    """

    attempt: Attempt
    wait: timedelta
    goes_on: bool = False
    report: str = ""
    costly: bool = False
    closed: timedelta = timedelta(0)
    routes: tuple[str, ...] = ()
    hold: bool = False
    aside: Aside | None = None


def attempt_json(attempt: Attempt) -> bytes:
    """Return the stored form of an attempt."""
    fields = _fields(attempt)
    started = fields.pop("started_at", None)
    if started is not None:
        fields["started_ms"] = int(started.timestamp() * 1000)
    return orjson.dumps(fields)


def _fields(record: Attempt | StoredImage) -> dict[str, Any]:
    """Return what is set of a flat record; a tenth of the time of `asdict`."""
    values = _VALUES_OF[type(record)](record)
    pairs = zip(record.__slots__, values, strict=True)
    return {name: value for name, value in pairs if value is not None}


_VALUES_OF = {kind: attrgetter(*kind.__slots__) for kind in (Attempt, StoredImage)}
