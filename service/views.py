"""A job as its owner sees it; URLs are signed while it is written down."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from service.core.jobs import Attempt, Job, JobId, JobState, StoredImage
from service.core.requests import GenerationRequest, InputImage, Priority
from service.image_store import ImageStore

_ECHOED = (
    "quality",
    "style",
    "background",
    "moderation",
    "input_fidelity",
    "output_compression",
    "seed",
    "negative_prompt",
    "user",
)

_KNOWN_PROGRESS = {JobState.QUEUED: 0.0, JobState.SUCCEEDED: 1.0}


def etag_of(job: Job) -> str:
    """Return the job's ETag; weak, because URLs differ from reading to reading."""
    return f'W/"{job.version}"'


class JobViews:
    """Writes jobs down as JSON-ready objects, for answers and for webhooks.

    All times are whole seconds since 1970, as in OpenAI's objects.
    """

    def __init__(self, images: ImageStore, *, base_url: str) -> None:
        self._images, self._base_url = images, base_url

    def job(
        self,
        job: Job,
        *,
        position: int | None = None,
        eta_s: int | None = None,
        dropped: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Return the job object of the native API."""
        view = self._new(job.id, job.request, job.priority, dropped)
        spent, source = job.spent
        if job.state is JobState.QUEUED:
            view["queue"].update(position=position, eta_s=eta_s, held=job.held)
        else:
            view["queue"] = None
        view.update(
            status=job.state,
            progress=_KNOWN_PROGRESS.get(job.state, job.progress),
            created_at=_seconds(job.created_at),
            started_at=_seconds(job.started_at),
            completed_at=_seconds(job.completed_at),
            expires_at=_seconds(job.expires_at),
            result=self._result(job),
            error=job.error,
            attempts=[_attempt(attempt) for attempt in job.trail],
            usage=job.usage,
            cost=None if spent is None else float(spent),
            cost_source=source,
            metadata=job.metadata,
            alias=job.alias,
            retry_of=job.retry_of,
            batch_id=job.batch,
            custom_id=job.custom_id,
        )
        return view

    def link(self, job_id: JobId) -> str:
        """Return where the job is read."""
        return f"{self._base_url}/v1/jobs/{job_id}"

    def image(self, image: StoredImage) -> dict[str, Any]:
        """Return one finished image, with a URL that was signed now."""
        signed = self._images.signed_url(image.key)
        return {
            "url": signed.url,
            "url_expires_at": _seconds(signed.expires_at),
            "sha256": image.sha256,
            "width": image.width,
            "height": image.height,
            "content_type": image.content_type,
            "bytes": image.size_bytes,
            "revised_prompt": image.revised_prompt,
        }

    def _new(
        self,
        job_id: JobId,
        request: GenerationRequest,
        priority: Priority,
        dropped: Sequence[str],
    ) -> dict[str, Any]:
        link = self.link(job_id)
        view = {
            "id": job_id,
            "object": "image.job",
            "status": JobState.QUEUED,
            "progress": 0.0,
            "queue": {
                "position": None,
                "eta_s": None,
                "priority": priority,
                "held": False,
            },
            "created_at": None,
            "started_at": None,
            "completed_at": None,
            "expires_at": None,
            "request": shown_request(request),
            "result": None,
            "error": None,
            "attempts": [],
            "usage": None,
            "cost": None,
            "cost_source": None,
            "metadata": {},
            "alias": None,
            "retry_of": None,
            "batch_id": None,
            "custom_id": None,
            "links": {
                "self": link,
                "events": f"{link}/events",
                "cancel": f"{link}/cancel",
            },
        }
        if dropped:
            view["warnings"] = warnings(dropped)
        return view

    def _result(self, job: Job) -> dict[str, Any] | None:
        if job.state is not JobState.SUCCEEDED:
            return None
        return {
            "created": _seconds(job.completed_at),
            "data": [self.image(image) for image in job.images],
        }


def warnings(dropped: Sequence[str]) -> list[dict[str, str]]:
    """Return what a caller who said `"strict": false` is told about his fields."""
    return [
        {
            "param": name,
            "code": "unsupported_field",
            "message": f"this model does not honor {name}; it was dropped",
        }
        for name in dropped
    ]


def shown_request(request: GenerationRequest) -> dict[str, Any]:
    """Return what a job tells of its request."""
    echo = {
        "operation": request.operation,
        "model": request.model,
        "prompt": request.prompt,
        "n": request.n,
        "size": request.size,
        "requested_size": request.requested_size,
        "output_format": request.output_format,
    }
    for name in _ECHOED:
        value = getattr(request, name)
        if value is not None:
            echo[name] = value
    if request.failover_on_refusal:
        echo["failover_on_refusal"] = True
    if request.images:
        echo["images"] = [_input(image) for image in request.images]
    if request.mask is not None:
        echo["mask"] = _input(request.mask)
    return echo


def _input(image: InputImage) -> dict[str, Any]:
    """Return what tells an input from others; its bytes are nobody's to read back."""
    return {
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
        "content_type": image.content_type,
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "provider": attempt.provider,
        "provider_model": attempt.model,
        "started_at": _seconds(attempt.started_at),
        "ms": attempt.ms,
        "outcome": attempt.outcome,
        "error_code": attempt.error_code,
        "upstream_id": attempt.upstream_id,
        "cost": None if attempt.cost_usd is None else float(attempt.cost_usd),
        "cost_source": attempt.cost_source,
        "billed": attempt.billed,
    }


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())
