"""Jobs as they are shown to those who ask again and again.

Half of what a poll cost was to write a job down as it had been written before. The text
of one is kept, and shown again where nothing in it would be different: not even the
URLs, which last until a whole second.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import orjson

from service.core.jobs import Job, JobId
from service.views import JobViews

_MOST = 2000
_MOST_BYTES = 8192


class _Shown(NamedTuple):
    job: Job
    told: tuple[int | None, int | None, int]
    """Position, eta_s, and the second in which its URLs were signed."""
    text: bytes


class ShownJobs:
    """Writes jobs down as JSON, as the views have them.

    Args:
        views: Say what is seen of a job.
        clock: Tells seconds since 1970.
    """

    def __init__(
        self, views: JobViews, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._views, self._clock = views, clock
        self._kept: dict[JobId, _Shown] = {}

    def text(self, job: Job, *, position: int | None, eta_s: int | None) -> bytes:
        """Return what the job's owner sees of it; see `JobViews.job`."""
        second = int(self._clock()) if job.images else 0
        told = (position, eta_s, second)
        kept = self._kept.get(job.id)
        if kept is not None and kept.job is job and kept.told == told:
            return kept.text
        text = orjson.dumps(self._views.job(job, position=position, eta_s=eta_s))
        if len(text) <= _MOST_BYTES and not job.ephemeral:
            self._keep(_Shown(job, told, text))
        return text

    def _keep(self, shown: _Shown) -> None:
        self._kept.pop(shown.job.id, None)
        if len(self._kept) >= _MOST:
            del self._kept[next(iter(self._kept))]
        self._kept[shown.job.id] = shown
