"""The seam between the engine and the outside services that make images."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, Protocol

from service.core.errors import ProviderError
from service.core.requests import GenerationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedImage:
    """One image as the provider sent it, not yet checked.

    Attributes:
        data: The encoded bytes; nobody has decoded them yet.
        revised_prompt: What the provider really drew, where it says so.
    """

    data: bytes = field(repr=False)
    revised_prompt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What one call brought.

    Attributes:
        images: 1 to `request.n` images in the provider's order; fewer than asked
            is a partial success and is reported, not hidden.
        upstream_id: The provider's own id of the request.
        cost_usd: What the provider says it charged; None: use the catalog's price.
        usage: The provider's own usage figures, as it reported them.
    """

    images: Sequence[GeneratedImage]
    upstream_id: str | None = None
    cost_usd: Decimal | None = None
    usage: dict[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputBytes:
    """The bytes of an image to start from, or of a mask."""

    data: bytes = field(repr=False)
    content_type: str


async def _nobody_looks(data: bytes, index: int) -> None:
    """Drop a partial image."""
    _ = data, index


def _nobody_asks(progress: float) -> None:
    """Forget how far a call has come."""
    _ = progress


async def _not_kept(tasks: Sequence[str]) -> None:
    """Forget upstream tasks."""
    _ = tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What surrounds one call of a provider, beside the request itself.

    Attributes:
        attempt: Which attempt of the job this is, from 1.
        images: The bytes of `request.images`, in that order.
        mask: The bytes of `request.mask`.
        partial: Shows an image on its way, and which of `request.partial_images` it
            is, from 0.
        progress: Says how far the call has come, from 0 to 1; as often as one likes.
        kept_tasks: Handles of upstream tasks that an earlier claim of the job
            submitted on this route.
        keep_tasks: Puts all handles so far (each of up to 2,000 characters) on record.
    """

    attempt: int = 1
    images: Sequence[InputBytes] = ()
    mask: InputBytes | None = None
    partial: Callable[[bytes, int], Awaitable[None]] = _nobody_looks
    progress: Callable[[float], None] = _nobody_asks
    kept_tasks: Sequence[str] = ()
    keep_tasks: Callable[[Sequence[str]], Awaitable[None]] = _not_kept

    async def tasks(
        self, count: int, submit: Callable[[], Awaitable[str]]
    ) -> Sequence[str]:
        """Return `count` upstream tasks of this job, submitted now or before.

        Each handle is on record before anybody looks at its task: whoever runs the
        job after a crash looks on instead of buying another. Where some could be
        submitted and others not, those that could are the answer.

        Raises:
            ProviderError: Of `submit`, where not a single one could be.
        """
        tasks = list(self.kept_tasks)

        async def add() -> None:
            tasks.append(await submit())
            await self.keep_tasks(tasks)

        missing = (add() for _ in range(count - len(tasks)))
        answers = await asyncio.gather(*missing, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not (
                tasks and isinstance(answer, ProviderError)
            ):
                raise answer
        return tasks


class Provider(Protocol):
    """Turns a request into images, in one call that may take minutes."""

    adapter: ClassVar[str]

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """Generate up to `request.n` images with the provider's own `model`.

        Args:
            request: What the caller asked for.
            model: The provider's name for the model, from the route.
            call: What surrounds the call.

        Returns:
            At least one image; the caller decodes and checks them.

        Raises:
            ProviderUnavailable: Later may work.
            ProviderThrottled: Later may work, at the time it names.
            ProviderAmbiguous: Sent, no answer; it may have been billed.
            BadOutput: It answered without a usable image.
            ProviderRefused: This route never will.
            PromptRejected: No route should.
        """
        ...
