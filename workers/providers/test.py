"""Images without an upstream: drawn here, from the prompt, for whoever is testing.

See `workers.providers._drawing` for the pictures; what goes wrong on the way to them,
the name of the model decides.
"""

import asyncio
import os
import re
import signal
from datetime import timedelta
from decimal import Decimal
from typing import ClassVar

from service.core.catalog import ProviderEntry
from service.core.errors import (
    PromptRejected,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
)
from service.core.provider import Call, Generated, GeneratedImage
from service.core.requests import GenerationRequest
from service.outbound import Outbound
from workers.providers._drawing import draw, sketch

POISON = "DARKROOM_TEST_POISON"
"""Environment variable that lets the model `poison` kill its process, if it is 1."""

_SLOW = re.compile(r"slow-([0-9]{1,4}(?:\.[0-9]{1,3})?)")
_SLOWEST_S = 600
_AT_ONCE = frozenset({"test", "half-image", "flaky", "rate-limited"})
_SECOND = 1.0
_PATIENCE = timedelta(seconds=1)


class TestProvider:
    """Draws at once, unless the name of the model says otherwise.

    `test` draws; `slow-N` waits N seconds first, up to 600; `fail` is never there,
    `flaky` only at even attempts, `rate-limited` from the second on; `refuse` forbids
    every prompt, `half-image` sends halves, and `poison` kills its process.
    """

    __test__ = False  # the name looks to pytest like one of its own
    adapter: ClassVar[str] = "test"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        _ = entry, outbound, api_key  # nobody is called

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        _behave(model, call.attempt)
        await _take_time(request, _pause_s(model), call)
        drawn = await asyncio.to_thread(
            lambda: [draw(request, index, call) for index in range(request.n)]
        )
        if model == "half-image":
            drawn = [data[: len(data) // 2] for data in drawn]
        return Generated(
            images=[GeneratedImage(data=data) for data in drawn], cost_usd=Decimal(0)
        )


def _behave(model: str, attempt: int) -> None:
    """Let go wrong what the name of the model says."""
    match model:
        case "fail":
            raise ProviderUnavailable("the test provider is down, as it was asked")
        case "flaky" if attempt % 2:
            raise ProviderUnavailable("the test provider is up at even attempts only")
        case "rate-limited" if attempt == 1:
            raise ProviderThrottled(
                "the test provider asks for a second's patience", retry_after=_PATIENCE
            )
        case "refuse":
            raise PromptRejected("the test provider forbids every prompt, as asked")
        case "poison" if os.environ.get(POISON) == "1":
            os.kill(os.getpid(), signal.SIGKILL)


async def _take_time(request: GenerationRequest, pause_s: float, call: Call) -> None:
    """Pause, and show sketches of the first image meanwhile, if they are wanted."""
    steps = request.partial_images + 1
    for index in range(steps):
        await _pause(index / steps, (index + 1) / steps, pause_s, call)
        if index < request.partial_images:
            drawn = await asyncio.to_thread(sketch, request, index, call)
            await call.partial(drawn, index)


async def _pause(begin: float, end: float, whole_s: float, call: Call) -> None:
    """Pause for that part of the whole, and say each second how far it is."""
    left_s = (end - begin) * whole_s
    while left_s > _SECOND:
        await asyncio.sleep(_SECOND)
        left_s -= _SECOND
        call.progress(end - left_s / whole_s)
    await asyncio.sleep(left_s)


def _pause_s(model: str) -> float:
    if model in _AT_ONCE:
        return 0
    slow = _SLOW.fullmatch(model)
    if slow is None or float(slow[1]) > _SLOWEST_S:
        raise ProviderRefused(
            f"the test provider has no model {model[:80]!r}",
            code="provider_invalid_request",
        )
    return float(slow[1])
