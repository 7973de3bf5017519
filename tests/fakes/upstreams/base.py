"""What all contract fakes share: a server, its books, and faults asked for ahead.

A fake says how its provider reads a request (`read`), answers with images
(`deliver`), and words an error (`refused`). Everything an upstream can do instead of
answering is here, once:

    status:500  throttled  throttled:7  unauthorized  unpaid  overloaded  hang  reset
    hang_midway  reset_midway  html:502  huge         the call itself goes wrong
    half_image  not_an_image  empty  fewer  link:URL  its images do
    rejected  failed  lost                            the provider says no, or forgets

What only one provider does is asked for by the name of its fake's method, such as
`filtered`. Each is used once, in order, by the next calls that cost money; those
behind them are served.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from aiohttp import web

from service.core.catalog import ProviderEntry
from service.core.provider import Provider
from service.outbound import Outbound
from tests.fakes.certificate import server_context
from tests.fakes.pictures import draw
from tests.fakes.upstreams.faults import BROKEN, REFUSALS, SPOILT
from tests.fakes.upstreams.words import KEY, Asked, Link, Refusal, Result
from workers.providers import adapter


class Fake:
    """Serves on a port of 127.0.0.1 while the context is open.

    Args:
        takes: How long each image takes.
        tls: Folder of a certificate; None: plain HTTP.
        port: 0 takes a free one.
        ledger: Told of every call that costs money, before it is answered.
        time_of: Asked for the time of each image, instead of `takes`.

    Attributes:
        adapter: Name of the adapter that speaks to it.
        model: A model of the provider's that draws, and edits where it can.
        edit_model: One that edits, where that is another.
        mask_model: One that takes a mask, where that is another.
        edits: Whether it takes images to start from.
        masks: Whether it takes a mask.
        tasks: Whether a call submits a task that is looked at later.
        links: Whether results are links.
        needs_key: Whether it refuses a call without its key.
        refuses: Whether it has a policy of what may be drawn.
        calls: What was asked for in every call that costs money, in order.
    """

    adapter: ClassVar[str]
    model: ClassVar[str]
    edit_model: ClassVar[str | None] = None
    mask_model: ClassVar[str | None] = None
    base_path: ClassVar[str] = ""
    edits: ClassVar[bool] = False
    masks: ClassVar[bool] = False
    tasks: ClassVar[bool] = False
    links: ClassVar[bool] = False
    needs_key: ClassVar[bool] = True
    refuses: ClassVar[bool] = True

    def __init__(
        self,
        *,
        takes: timedelta = timedelta(0),
        tls: Path | None = None,
        port: int = 0,
        ledger: Callable[[Asked], None] = lambda _: None,
        time_of: Callable[[], timedelta] | None = None,
    ) -> None:
        self.takes = takes
        self._tls, self._port, self._ledger = tls, port, ledger
        self._time_of = time_of or (lambda: self.takes)
        self.calls: list[Asked] = []
        self.called = asyncio.Event()
        self.most_at_once, self._at_once = 0, 0
        self._faults: deque[str] = deque()
        self._files: dict[str, bytes] = {}
        self._wait: str | None = None

    # What a fake brings itself.

    def routes(self) -> Sequence[web.RouteDef]:
        raise NotImplementedError

    async def read(self, request: web.Request) -> Asked:
        """Return what was asked for.

        Raises:
            Refusal: The real one would not take it.
        """
        raise NotImplementedError

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        """Return the answer that carries `results`, or names a task that will."""
        raise NotImplementedError

    def refused(self, refusal: Refusal) -> web.Response:
        """Return the error in the provider's words."""
        raise NotImplementedError

    def rejected(self, asked: Asked) -> web.Response:
        """Return (or arrange) the provider's no to the content."""
        raise NotImplementedError

    def failed(self, asked: Asked) -> web.Response:
        """Arrange that the task ends in an error of the provider's."""
        raise NotImplementedError

    def lost(self, asked: Asked) -> web.Response:
        """Take the task, and know nothing of it later."""
        raise NotImplementedError

    # What all share.

    def entry(self, **options: Any) -> ProviderEntry:
        told: dict[str, Any] = {
            "name": self.adapter,
            "adapter": self.adapter,
            "base_url": self.base_url,
            "timeout": timedelta(seconds=20),
        }
        return ProviderEntry(**{**told, **options})

    @property
    def base_url(self) -> str:
        return self.origin + self.base_path

    def provider(
        self, outbound: Outbound, key: str | None = KEY, **options: Any
    ) -> Provider:
        """Return an adapter that speaks to this fake."""
        return adapter(self.adapter)(self.entry(**options), outbound, key)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=200_000_000)
        app.add_routes(self.routes())
        app.router.add_get("/files/{name}", self._file)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=False, shutdown_timeout=0.01
        )
        await self._runner.setup()
        context = None if self._tls is None else server_context(self._tls)
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=context)
        await site.start()
        scheme = "http" if context is None else "https"
        self.origin = f"{scheme}://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    def fail_with(self, *faults: str) -> None:
        self._faults.extend(faults)

    def fail_later(self, calls: int, *faults: str) -> None:
        """Serve so many calls first, then misbehave."""
        self.fail_with(*[""] * calls, *faults)

    def link_to(self, data: bytes) -> str:
        """Return a link of ours to `data`."""
        name = f"{len(self._files)}.bin"
        self._files[name] = data
        return f"{self.origin}/files/{name}"

    def url_of(self, result: Result) -> str:
        """Return where the result lies: the link it is, or one of ours."""
        return result.url if isinstance(result, Link) else self.link_to(result)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one call that costs money."""
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await self._handle(request)
        finally:
            self._at_once -= 1

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            asked = await self.read(request)
        except Refusal as refusal:
            return self.refused(refusal)
        asked.id = f"task-{len(self.calls) + 1:04}-{id(self) % 997}"
        self.calls.append(asked)
        self._ledger(asked)
        self.called.set()
        name, _, argument = (self._faults.popleft() if self._faults else "").partition(
            ":"
        )
        if name:
            return await self._misbehave(request, asked, name, argument)
        if not self.tasks:
            await asyncio.sleep(self._time_of().total_seconds())
        return await self.deliver(asked, list(self.drawn(asked)))

    def drawn(self, asked: Asked) -> list[bytes]:
        return [
            draw(
                f"{asked.prompt}/{asked.id}/{index}",
                width=asked.width,
                height=asked.height,
                image_format=asked.image_format,
            )
            for index in range(asked.n)
        ]

    async def _misbehave(
        self, request: web.Request, asked: Asked, name: str, argument: str
    ) -> web.StreamResponse:
        if name in REFUSALS:
            status, kind = REFUSALS[name]
            return self.refused(Refusal(status or int(argument), kind))
        if name == "throttled":
            return self._throttled(argument)
        if name in BROKEN:
            return await BROKEN[name](request, argument)
        if name in SPOILT:
            results = SPOILT[name](self.drawn(asked)[0], argument)
            return await self.deliver(asked, results)
        say: Callable[[Asked], web.Response] = getattr(self, name)
        return say(asked)

    def _throttled(self, wait: str) -> web.Response:
        answer = self.refused(
            Refusal(429, "throttled", wait=float(wait) if wait else None)
        )
        if wait:
            answer.headers["Retry-After"] = wait
        return answer

    async def _file(self, request: web.Request) -> web.Response:
        data = self._files.get(request.match_info["name"])
        if data is None:
            raise web.HTTPNotFound
        return web.Response(body=data)
