"""The provider that docs/adding-a-provider.md invents, and the adapter it shows."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from aiohttp import web

from service.core.provider import Provider
from service.outbound import Outbound
from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.images import decoded, inline
from tests.fakes.upstreams.words import KEY, Asked, Refusal, Result

PAGE = Path(__file__).parents[3] / "docs" / "adding-a-provider.md"
_KNOWN = {"model", "text", "width", "height", "count", "from"}


def shown_code() -> str:
    """Return the adapter as the page has it."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return code


class EaselFake(Fake):
    """Paints what the page says it does."""

    adapter: ClassVar[str] = "easel"
    model: ClassVar[str] = "oil-2"
    edits: ClassVar[bool] = True

    def provider(
        self, outbound: Outbound, key: str | None = KEY, **options: Any
    ) -> Provider:
        module = ModuleType("easel")
        code = compile(shown_code(), str(PAGE), "exec")
        exec(code, module.__dict__)  # noqa: S102 - our own page
        provider: Provider = module.Easel(self.entry(**options), outbound, key)
        return provider

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v2/paintings", self.handle)]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refusal(401, "stranger")
        body = await request.json()
        if set(body) != _KNOWN:
            raise Refusal(400, "fields")
        return Asked(
            prompt=body["text"],
            model=body["model"],
            width=body["width"],
            height=body["height"],
            n=body["count"],
            images=[decoded(text) for text in body["from"]],
            fields=body,
        )

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        paintings = [{"png": inline(result)} for result in results]
        paid = 0.01 * len(paintings)
        return web.json_response(
            {"id": asked.id, "paintings": paintings, "paid_usd": paid}
        )

    def rejected(self, asked: Asked) -> web.Response:
        return self.refused(Refusal(422, "forbidden_content"))

    def refused(self, refusal: Refusal) -> web.Response:
        return web.json_response({"fault": refusal.kind}, status=refusal.status)
