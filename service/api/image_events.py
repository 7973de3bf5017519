"""The events of OpenAI's images API: unfinished images, then each finished one."""

import time
from collections.abc import AsyncIterator
from typing import Any

from service.api.context import Front
from service.api.events import named
from service.api.rendering import base64_of, billed, check_present, rendered, usage
from service.core.jobs import Job
from service.core.requests import GenerationRequest
from service.intake import Accepted
from service.views import warnings


class ImageEvents:
    """See `service.api.streaming.Words`.

    Args:
        front: The front door.
        accepted: The job that answers.
        inline: Finished images as base64, not as links; unfinished ones always are.
    """

    def __init__(self, front: Front, accepted: Accepted, *, inline: bool) -> None:
        self._front, self._accepted, self._inline = front, accepted, inline
        edits = accepted.job.request.operation != "generate"
        self._family = "image_edit" if edits else "image_generation"

    def begun(self) -> bytes:
        """Return nothing: the headers say it."""
        return b""

    def unfinished(self, data: bytes, index: int) -> bytes:
        """Return a partial image."""
        event = {
            "b64_json": base64_of(data),
            "partial_image_index": index,
            **_about(self._accepted.job.request, int(time.time())),
        }
        return named(f"{self._family}.partial_image", event)

    async def finished(self, job: Job) -> AsyncIterator[bytes]:
        """Yield an event per image; the last tells what is told of all together."""
        check_present(job)
        last = len(job.images) - 1
        for place, image in enumerate(job.images):
            event = await rendered(self._front, job, image, inline=self._inline)
            at = job.completed_at or job.created_at
            event |= _about(job.request, int(at.timestamp())) | {"usage": None}
            if place == last:
                event |= self._closing(job)
            yield named(f"{self._family}.completed", event)

    def failed(self, body: dict[str, Any]) -> bytes:
        """Return an event `error`."""
        return named("error", body)

    def _closing(self, job: Job) -> dict[str, Any]:
        told = {"usage": usage(job)} | billed(self._front, job, by_dialect=False)
        notes: list[dict[str, Any]] = list(warnings(self._accepted.dropped))
        if job.error is not None:  # under the name `error` an SDK would raise it
            notes.append({"param": None, **job.error})
        return told | ({"warnings": notes} if notes else {})


def _about(request: GenerationRequest, created_at: int) -> dict[str, Any]:
    return {
        "created_at": created_at,
        "size": request.size,
        "quality": request.quality or "auto",
        "background": request.background or "auto",
        "output_format": request.output_format,
    }
