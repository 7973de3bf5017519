"""What the front door tells of a job beside the job itself."""

import time
from typing import Any

from service.core.jobs import Job
from service.intake import Accepted
from service.intake.preview import Preview
from service.views import JobViews, shown_request, warnings


class Views(JobViews):
    """Writes down what became of a call; all else is `JobViews`'."""

    def accepted(self, accepted: Accepted) -> dict[str, Any]:
        """Return the job that answers for a call, new or not.

        A new one is not read back: its time of creation comes from our clock.
        """
        job, dropped = accepted.job, accepted.dropped
        if isinstance(job, Job):
            return self.job(job, dropped=dropped)
        view = self._new(job.id, job.request, job.priority, dropped)
        view["created_at"] = int(time.time())
        view.update(alias=job.alias, retry_of=job.retry_of)
        if job.metadata:
            view["metadata"] = job.metadata
        return view

    def preview(self, seen: Preview, *, eta_s: int | None) -> dict[str, Any]:
        """Return what a dry run came to."""
        request, units, price, dropped, _ = seen.composed
        return {
            "object": "image.job.dry_run",
            "model": request.model,
            "request": shown_request(request),
            "images": len(seen.uploads.images),
            "available": seen.available,
            "routes": [
                {"provider": route.provider, "provider_model": route.provider_model}
                for route in seen.routes
            ],
            "price": price and {"usd": float(price.usd), "source": price.source},
            "quota_units": units,
            "queue": {
                "position": seen.position,
                "eta_s": eta_s,
                "priority": seen.priority,
                "held": False,
            },
            "warnings": warnings(dropped),
        }
