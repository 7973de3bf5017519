"""AI Horde: volunteers draw; a request waits until some of them can.

The prompt and what should not be seen are one text, with `###` between. The whole of
a request's status may be read ten times a minute, the short form ten times a second,
so the short one is looked at. A volunteer's picture may come censored. Kudos that a
key does not have are what credit is elsewhere.

Source: AI Horde's server, `horde/apis` and `horde/exceptions.py` of 2026-08 (read,
not exercised; its SDK needs another `redis` than we do).
"""

import functools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from service.core.catalog import ProviderEntry
from service.core.errors import (
    BadOutput,
    PromptRejected,
    ProviderError,
    ProviderThrottled,
    ProviderUnavailable,
)
from service.core.provider import Call, Generated
from service.core.requests import GenerationRequest
from service.outbound import Outbound
from workers.providers._bodies import encoded, items_of
from workers.providers._errors import unpaid
from workers.providers._upstream import Reply, Shares, Upstream

_BUSY = {"NoValidWorkers": 600, "MaintenanceMode": 60}
"""Errors under a 400 that pass, and their seconds."""
_CENSORED = frozenset({"censored", "csam"})
_PART = "###"


class Horde:
    """Submit, look, read the result, download; a crash resumes at the look."""

    adapter: ClassVar[str] = "horde"
    mask_style: ClassVar[str] = "white"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        headers = {"apikey": api_key or "0000000000", "Client-Agent": "darkroom:1:-"}
        self._upstream = Upstream(entry, outbound, headers=headers, verdict=_verdict)

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        payload = payload_for(request, call, model=model)

        async def submit() -> str:
            reply = await self._upstream.post("/v2/generate/async", payload=payload)
            match reply.body:
                case {"id": str(task)}:
                    return task
                case _:
                    raise BadOutput("the provider's answer names no task")

        tasks = await call.tasks(1, submit)
        look = functools.partial(self._look, request.n, Shares(call.progress, tasks))
        [links] = await self._upstream.finished(tasks, look, first_pause_s=1.0)
        return Generated(
            images=await self._upstream.fetched(links), upstream_id=tasks[0][:128]
        )

    async def _look(
        self, wanted: int, shares: Shares, task: str
    ) -> Sequence[object] | None:
        short = await self._upstream.peek(f"/v2/generate/check/{task}")
        if short is None:
            return None
        match short.body:
            case {"finished": int(finished)}:
                shares.note(task, finished / wanted)
        if short.body.get("faulted"):
            raise ProviderUnavailable("the provider failed at the task")
        if short.body.get("is_possible") is False:
            raise ProviderUnavailable("no volunteer can draw this just now")
        if not short.body.get("done"):
            return None
        whole = await self._upstream.peek(f"/v2/generate/status/{task}")
        return None if whole is None else _links(whole)


def payload_for(
    request: GenerationRequest, call: Call, *, model: str
) -> dict[str, Any]:
    """Return the body that submits a task."""
    prompt = request.prompt.replace(_PART, "# # #")
    if request.negative_prompt:
        prompt = f"{prompt} {_PART} {request.negative_prompt}"
    params: dict[str, Any] = {
        "n": request.n,
        "width": request.width,
        "height": request.height,
    }
    if request.seed is not None:
        params["seed"] = str(request.seed)
    payload = {"prompt": prompt, "params": params, "models": [model], "r2": True}
    if call.images:
        payload["source_image"] = encoded(call.images[0].data)
        payload["source_processing"] = "inpainting" if call.mask else "img2img"
    if call.mask is not None:
        payload["source_mask"] = encoded(call.mask.data)
    return payload


def _links(whole: Reply) -> Sequence[object]:
    items = items_of(whole.body, "generations")
    seen = [item for item in items if not _is_censored(item)]
    if items and not seen:
        raise PromptRejected("the provider's policy forbids this content")
    return [_link(item.get("img")) for item in seen]


def _is_censored(item: dict[str, Any]) -> bool:
    told = {str(note.get("type")) for note in items_of(item, "gen_metadata")}
    return str(item.get("state")) in _CENSORED or bool(
        item.get("censored") or "censorship" in told
    )


def _link(image: object) -> object:
    if isinstance(image, str) and not image.startswith("http"):
        return f"data:;base64,{image}"
    return image


def _verdict(reply: Reply) -> ProviderError | None:
    match reply.body.get("rc"):
        case "CorruptPrompt":
            return PromptRejected("the provider's policy forbids this content")
        case str(code) if code in _BUSY:
            return ProviderThrottled(
                "no volunteer can draw this just now",
                retry_after=timedelta(seconds=_BUSY[code]),
            )
        case "KudosUpfront" | "SharedKeyInsufficientKudos":
            return unpaid()
        case _:
            return None
