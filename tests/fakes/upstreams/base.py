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
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from aiohttp import web
from PIL import Image

from service.core.catalog import ProviderEntry
from service.core.provider import Provider
from service.outbound import Outbound
from tests.fakes.certificate import server_context
from tests.fakes.pictures import draw
from workers.providers import adapter

KEY = "key-of-ours"


class Refusal(Exception):
    """The provider would not take this request; worded by `Fake.refused`."""

    def __init__(self, status: int, kind: str, **more: Any) -> None:
        super().__init__(kind)
        self.status, self.kind, self.more = status, kind, more


@dataclass(frozen=True)
class Link:
    """A result that is a link to somewhere else."""

    url: str


@dataclass
class Asked:
    """What a call asked for, as the provider understood it."""

    prompt: str
    model: str
    width: int
    height: int
    n: int = 1
    image_format: str = "png"
    images: list[bytes] = field(default_factory=list)
    mask: bytes | None = None
    seed: int | None = None
    fields: Any = None
    id: str = ""


Result = bytes | Link


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
        """Take the task and forget it."""
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
        if name in _REFUSALS:
            status, kind = _REFUSALS[name]
            return self.refused(Refusal(status or int(argument), kind))
        if name == "throttled":
            return self._throttled(argument)
        if name in _BROKEN:
            return await _BROKEN[name](request, argument)
        if name in _SPOILT:
            results = _SPOILT[name](self.drawn(asked)[0], argument)
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


class TaskFake(Fake):
    """A fake whose calls submit tasks; `look` tells how one stands.

    Attributes:
        looks: Ids of the tasks that were looked at, in order.
    """

    tasks: ClassVar[bool] = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.looks: list[str] = []
        self._results: dict[str, list[Result] | str] = {}
        self._ready_at: dict[str, float] = {}

    def accept(self, asked: Asked, outcome: list[Result] | str) -> None:
        """Take the task; it ends, after its time, with images or in a state."""
        self._results[asked.id] = outcome
        now = asyncio.get_running_loop().time()
        self._ready_at[asked.id] = now + self._time_of().total_seconds()

    def look(self, task: str) -> list[Result] | str | None:
        """Return how the task ended; None while under way.

        Raises:
            KeyError: There is no such task.
        """
        self.looks.append(task)
        outcome = self._results[task]
        if asyncio.get_running_loop().time() < self._ready_at[task]:
            return None
        return outcome

    def forget_tasks(self) -> None:
        """Lose all tasks, as a provider that was restarted does."""
        self._results.clear()


def opened(data: bytes) -> Image.Image:
    """Decode what an adapter sent along.

    Raises:
        Refusal: It is no image, which every provider refuses.
    """
    try:
        image = Image.open(BytesIO(data))
        image.load()
    except Exception as exc:
        raise Refusal(400, "invalid_image") from exc
    return image


def _aborted(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


_REFUSALS = {
    "status": (0, "server_error"),
    "overloaded": (503, "overloaded"),
    "unauthorized": (401, "unauthorized"),
    "unpaid": (402, "unpaid"),
}


_SPOILT: dict[str, Callable[[bytes, str], list[Result]]] = {
    "half_image": lambda data, _: [data[: len(data) // 2]],
    "not_an_image": lambda _, __: [b"<html>not an image</html>"],
    "empty": lambda _, __: [],
    "fewer": lambda data, _: [data],
    "link": lambda _, link: [Link(link)],
}


async def _html(_: web.Request, status: str) -> web.Response:
    page = "<html><title>Bad gateway</title></html>"
    return web.Response(text=page, content_type="text/html", status=int(status))


async def _hang(_: web.Request, __: str) -> web.Response:
    return await asyncio.get_running_loop().create_future()


async def _hang_midway(request: web.Request, _: str) -> web.StreamResponse:
    response = await _half_an_answer(request)
    await asyncio.get_running_loop().create_future()
    return response


async def _reset(request: web.Request, _: str) -> web.Response:
    return _aborted(request)


async def _reset_midway(request: web.Request, _: str) -> web.Response:
    await _half_an_answer(request)
    return _aborted(request)


async def _half_an_answer(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100000"})
    response.content_type = "application/json"
    await response.prepare(request)
    await response.write(b'{"created": 1, "data": [{"b64_json": "')
    return response


async def _endless(request: web.Request, _: str) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = "application/json"
    await response.prepare(request)
    while True:
        await response.write(b" " * 1_000_000)


_BROKEN: dict[str, Callable[[web.Request, str], Awaitable[web.StreamResponse]]] = {
    "html": _html,
    "hang": _hang,
    "reset": _reset,
    "hang_midway": _hang_midway,
    "reset_midway": _reset_midway,
    "huge": _endless,
}
