"""A provider that does as it was told, and remembers what it was asked."""

import asyncio
from decimal import Decimal
from typing import ClassVar

from service.core.errors import ProviderError
from service.core.provider import Call, Generated, GeneratedImage
from service.core.requests import GenerationRequest


class ScriptedProvider:
    """Raises the scripted errors in order, then draws the same picture for ever.

    Attributes:
        asked: Prompt of every call, in order.
        gate: While it is cleared, calls hang; they can be canceled.
    """

    adapter: ClassVar[str] = "scripted"

    def __init__(
        self, *errors: ProviderError, picture: bytes, cost_usd: Decimal | None = None
    ) -> None:
        self._errors, self._picture = list(errors), picture
        self._cost_usd = cost_usd
        self.asked: list[str] = []
        self.models: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        self.asked.append(request.prompt)
        self.models.append(model)
        await self.gate.wait()
        if self._errors:
            raise self._errors.pop(0)
        picture = GeneratedImage(data=self._picture)
        return Generated(
            images=[picture] * request.n,
            upstream_id=f"up-{call.attempt}",
            cost_usd=self._cost_usd,
        )
