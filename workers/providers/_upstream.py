"""What every adapter stands on: one provider's HTTP, its deadlines and its errors.

An adapter translates; it opens no connection, reads no clock, and names an error by
a status only where the provider means something of its own by it. What a key opens
is never shown to a host that the provider did not grow up with.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from yarl import URL

from service.core.catalog import ProviderEntry
from service.core.errors import (
    BadOutput,
    ProviderError,
    ProviderThrottled,
    ProviderUnavailable,
)
from service.core.provider import GeneratedImage
from service.outbound import (
    MAX_BYTES,
    Answer,
    Form,
    NotAllowed,
    Outbound,
    OutboundError,
)
from workers.providers._bodies import decoded
from workers.providers._errors import outbound_errors, refusal

log = structlog.get_logger()

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0
_LOOK = timedelta(seconds=30)
_AGAIN_S = (0.2, 1.0)
"""Pauses before a result that was paid for is downloaded again."""
_GONE = frozenset({404, 410})

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that went well, and its body where that is a JSON object."""

    answer: Answer
    body: dict[str, Any]

    @property
    def upstream_id(self) -> str | None:
        """The provider's own name for the call."""
        return self.answer.headers.get("x-request-id", "")[:128] or None


Verdict = Callable[[Reply], ProviderError | None]
"""How the provider itself explains an error answer; None: by its status."""


class Upstream:
    """One provider, as an adapter reaches it.

    Args:
        entry: What the operator wrote.
        outbound: The way out.
        headers: Of every call to the provider itself: its key.
        verdict: Reads what only this provider means by an error.
    """

    def __init__(
        self,
        entry: ProviderEntry,
        outbound: Outbound,
        *,
        headers: Mapping[str, str],
        verdict: Verdict = lambda _: None,
    ) -> None:
        self._base = entry.base_url
        self._timeout = entry.timeout
        self._outbound = outbound
        self._headers = headers
        self._verdict = verdict

    async def post(
        self,
        path: str,
        *,
        payload: Any = None,
        form: Form | None = None,
        headers: Mapping[str, str] | None = None,
        images: int = 1,
    ) -> Reply:
        """POST a JSON `payload`, or else a `form`, and return what it brought.

        Args:
            path: Behind the base URL, with its slash.
            payload: What orjson can write.
            form: Fields and files of a multipart body.
            headers: Beside those of every call.
            images: How many the answer may carry; it is read no further.

        Raises:
            ProviderError: It did not go well; ambiguous where nobody can tell.
        """
        with outbound_errors():
            answer = await self._outbound.send(
                "POST",
                self._base + path,
                headers={**self._headers, **(headers or {})},
                payload=payload,
                form=form,
                within=self._timeout,
                max_bytes=max(1, images) * MAX_BYTES,
            )
        return self._judged(answer)

    async def peek(self, target: str, *, images: int = 1) -> Reply | None:
        """Look at an upstream task, by a path or by a URL that the provider named.

        Returns:
            What the provider says of it; None where it says nothing just now: the
            task goes on without us, and the next look may see it.

        Raises:
            ProviderError: The provider does not know the task (any more), or refuses
                to show it; or has it where we may not look.
        """
        url = self._base + target if target.startswith("/") else target
        try:
            answer = await self._outbound.send(
                "GET",
                url,
                headers=self._headers if self._is_theirs(url) else {},
                within=min(self._timeout, _LOOK),
                max_bytes=max(1, images) * MAX_BYTES,
                same_origin_as=self._base,
            )
        except NotAllowed as exc:
            raise BadOutput("the provider's task lies where nobody may look") from exc
        except OutboundError as exc:
            log.info("look.failed", reason=str(exc))
            return None
        if answer.status in _GONE:
            raise task_lost()
        try:
            return self._judged(answer)
        except ProviderUnavailable as exc:
            # What the provider itself calls a failure is the task's end; what only
            # the status says may be a bad minute of the server that was asked.
            said = self._verdict(Reply(answer, answer.json_object() or {}))
            if said is not None and not isinstance(said, ProviderThrottled):
                raise
            log.info("look.failed", reason=exc.code)
            return None

    async def finished(
        self,
        tasks: Sequence[str],
        look: Callable[[str], Awaitable[_T | None]],
        *,
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> Sequence[_T]:
        """Look at upstream tasks until all have ended; the caller has a deadline.

        Args:
            tasks: Their handles.
            look: Returns None while a task is under way; raises what it came to.
            first_pause_s: Between two looks, at first; grows to five seconds.

        Returns:
            What the tasks came to, those left out that failed.

        Raises:
            ProviderError: Of the first task, where all failed.
        """

        async def end_of(task: str) -> _T:
            pause = first_pause_s
            while (found := await look(task)) is None:
                await asyncio.sleep(pause)
                pause = min(pause * 1.3, _LONGEST_PAUSE_S)
            return found

        return await all_of(map(end_of, tasks))

    async def fetched(self, links: Sequence[object]) -> list[GeneratedImage]:
        """Return what lies under the links of a result, those left out that fail.

        Links expire within minutes and may lead anywhere: `data:` ones are read
        here, others through the guard.

        Raises:
            BadOutput: Not one of them brought anything.
        """
        found = await asyncio.gather(*(self._one(link) for link in links))
        images = [GeneratedImage(data=data) for data in found if data]
        if not images:
            raise no_image(billed=bool(links))
        return images

    async def _one(self, link: object) -> bytes | None:
        if not isinstance(link, str):
            return None
        if link.startswith("data:"):
            return decoded(link.partition(",")[2])
        for pause in (*_AGAIN_S, None):
            try:
                return await self._outbound.download(link, same_origin_as=self._base)
            except OutboundError as exc:
                log.warning("download.failed", reason=str(exc))
                if pause is None or isinstance(exc, NotAllowed):
                    break
            await asyncio.sleep(pause)
        return None

    def _judged(self, answer: Answer) -> Reply:
        reply = Reply(answer, answer.json_object() or {})
        if answer.ok:
            return reply
        raise self._verdict(reply) or refusal(answer, upstream_id=reply.upstream_id)

    def _is_theirs(self, url: str) -> bool:
        """Whether our key may be shown there: the same host, or a sister of it."""
        try:
            ours, theirs = URL(self._base).origin(), URL(url).origin()
        except ValueError:
            return False
        if ours == theirs:
            return True
        family = "." + ".".join((ours.raw_host or "").split(".")[-2:])
        named = "." in family.strip(".") and not family.strip(".").isdigit()
        return (
            theirs.scheme == "https"
            and named
            and ("." + (theirs.raw_host or "")).endswith(family)
        )


class Shares:
    """How far several upstream tasks have come together, told as each says.

    Args:
        tell: See `Call.progress`.
        tasks: Their handles.
    """

    def __init__(self, tell: Callable[[float], None], tasks: Sequence[str]) -> None:
        self._tell, self._come = tell, dict.fromkeys(tasks, 0.0)

    def note(self, task: str, progress: object) -> None:
        """Take in what the provider says of one: a number from 0 to 1, or anything."""
        if isinstance(progress, int | float) and 0 <= progress <= 1:
            self._come[task] = float(progress)
            self._tell(sum(self._come.values()) / len(self._come))


async def all_of(calls: Iterable[Awaitable[_T]]) -> Sequence[_T]:
    """Return what calls at once came to, those left out that failed.

    Raises:
        ProviderError: Of the first, where all failed.
    """
    ends = await asyncio.gather(*calls, return_exceptions=True)
    good = [end for end in ends if not isinstance(end, BaseException)]
    for end in ends:
        if isinstance(end, BaseException) and not (
            good and isinstance(end, ProviderError)
        ):
            raise end
    return good


def task_lost() -> ProviderUnavailable:
    """Return the error for an upstream task that its provider knows nothing of."""
    return ProviderUnavailable(
        "the provider has lost the task", code="provider_task_lost"
    )


def no_image(*, billed: bool = False, upstream_id: str | None = None) -> BadOutput:
    """Return the error for an answer that holds no image that can be had."""
    return BadOutput(
        "the provider's answer holds no image that can be had",
        upstream_id=upstream_id,
        billed=billed,
    )
