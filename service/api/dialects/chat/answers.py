"""Images as a chat says them: data URLs in a message, whole or in chunks.

Each image is a choice of its own; a provider's revised prompt is all there is to say
in words.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
import pybase64

from service.api.context import Front
from service.api.events import plain
from service.api.rendering import billed, check_present, read_image
from service.core.jobs import Job, JobId, StoredImage
from service.intake import Accepted
from service.views import warnings

Notes = Sequence[dict[str, str]]
"""Warnings about what the chat itself left out of the request."""

_DONE = b"data: [DONE]\n\n"


async def completion(
    front: Front, job: Job, accepted: Accepted, *, model: str, notes: Notes
) -> dict[str, Any]:
    """Return the chat completion that holds the job's images.

    Raises:
        StoreUnavailable: One of them cannot be read.
        JobDeleted: They are gone.
    """
    check_present(job)
    said = await asyncio.gather(*(_said(front, job, image) for image in job.images))
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "refusal": None, **message},
            "logprobs": None,
            "finish_reason": "stop",
        }
        for index, message in enumerate(said)
    ]
    at = job.completed_at or job.created_at
    body = _head("chat.completion", job.id, model, int(at.timestamp()))
    body |= {"choices": choices, "usage": _usage(job)}
    return body | _beside(front, job, accepted, notes)


class ChatEvents:
    """See `service.api.streaming.Words`.

    Args:
        front: The front door.
        accepted: The job that answers.
        model: As the caller named it.
        notes: Warnings.
        tells_usage: Whether a chunk with the usage stands at the end.
    """

    def __init__(
        self,
        front: Front,
        accepted: Accepted,
        *,
        model: str,
        notes: Notes,
        tells_usage: bool,
    ) -> None:
        self._front, self._accepted = front, accepted
        self._model, self._notes, self._tells_usage = model, notes, tells_usage
        self._created = int(time.time())

    def begun(self) -> bytes:
        """Return the chunk that says who speaks."""
        return self._chunk(0, {"role": "assistant", "content": ""})

    def unfinished(self, data: bytes, index: int) -> bytes:
        """Return nothing: a chat cannot take back what it said."""
        _ = data, index
        return b""

    async def finished(self, job: Job) -> AsyncIterator[bytes]:
        """Yield two chunks per image, the second of which ends its choice."""
        check_present(job)
        for index, image in enumerate(job.images):
            said = await _said(self._front, job, image)
            yield self._chunk(index, {"role": "assistant", **said})
            yield self._chunk(index, {}, finish_reason="stop")
        last = _beside(self._front, job, self._accepted, self._notes)
        if self._tells_usage:
            last["usage"] = _usage(job)
        if last:
            yield plain(self._chunk_head() | {"choices": []} | last)
        yield _DONE

    def failed(self, body: dict[str, Any]) -> bytes:
        """Return the envelope as a chunk."""
        return plain(body)

    def _chunk(
        self, index: int, delta: dict[str, Any], *, finish_reason: str | None = None
    ) -> bytes:
        choice = {"index": index, "delta": delta, "finish_reason": finish_reason}
        return plain(self._chunk_head() | {"choices": [choice]})

    def _chunk_head(self) -> dict[str, Any]:
        job_id = self._accepted.job.id
        return _head("chat.completion.chunk", job_id, self._model, self._created)


def _head(kind: str, job_id: JobId, model: str, created: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{job_id}",
        "object": kind,
        "created": created,
        "model": model,
    }


async def _said(front: Front, job: Job, image: StoredImage) -> dict[str, Any]:
    data = pybase64.b64encode(await read_image(front, job, image))
    # Megabytes of ASCII that need no second look.
    url = b"".join((b'"data:', image.content_type.encode(), b";base64,", data, b'"'))
    shown = {"type": "image_url", "image_url": {"url": orjson.Fragment(url)}}
    return {"content": image.revised_prompt or "", "images": [{"index": 0, **shown}]}


def _usage(job: Job) -> dict[str, Any] | None:
    """Return the provider's tokens in a chat's words; None: it counts none."""
    if job.usage is None or "input_tokens" not in job.usage:
        return None
    asked, drawn = job.usage["input_tokens"], job.usage.get("output_tokens", 0)
    return {
        "prompt_tokens": asked,
        "completion_tokens": drawn,
        "total_tokens": job.usage.get("total_tokens", asked + drawn),
    }


def _beside(front: Front, job: Job, accepted: Accepted, said: Notes) -> dict[str, Any]:
    """Return what is told where there is something to tell."""
    notes: list[dict[str, Any]] = [*said, *warnings(accepted.dropped)]
    if job.error is not None:  # under the name `error` an SDK would raise it
        notes.append({"param": None, **job.error})
    told = billed(front, job, by_dialect=False)
    return told | ({"warnings": notes} if notes else {})
