"""A contract fake of OpenAI's images API that draws, keeps books and misbehaves.

In a test: `async with OpenAIUpstream() as upstream`, then `upstream.base_url`. As
a process of its own: `python -m tests.fakes.openai_upstream --port 0 --ledger F`;
it writes its base URL on the first line of its output. Faults are asked for ahead,
by `fail_with` or `POST /control/faults`, and each is used once, in order; what
`POST /control/down` names is what every call meets until it names nothing.

The ledger has a line when a call comes in, and one when its images are made, which
is when OpenAI charges for them, or when a fault is its answer; it outlives a kill of
this process.
"""

import argparse
import asyncio
import base64
import os
import signal
import sys
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import web

from tests.fakes.mischief import Choice, as_told, now_and_then
from tests.fakes.openai_faults import FAULTS
from tests.fakes.openai_forms import File, check_files, read_form
from tests.fakes.openai_rules import Call, Refusal, check
from tests.fakes.openai_streams import stream
from tests.fakes.pictures import draw

KEY = "sk-upstream"


class OpenAIUpstream:
    """Serves on a port of 127.0.0.1 while the context is open.

    Args:
        port: 0 takes a free one.
        ledger: File to which lines of JSON are added; None: no books are kept.
        latency: How long each drawing takes.
        compatible: Be one of the servers that imitate OpenAI: any model, any field.
        thumbnails: Draw 182x182 whatever was asked for, to save time.
        misbehave: From a prompt to the fault that its call meets; empty: none.

    Attributes:
        requests: Fields of all requests for images, in order of arrival.
        files: Their files.
        called: Set once the first of them has come.
        drawn: Set once the images of the first of them are made.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        ledger: Path | None = None,
        latency: timedelta = timedelta(0),
        compatible: bool = False,
        thumbnails: bool = False,
        misbehave: Choice = lambda _: "",
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        self.files: list[list[File]] = []
        self.called = asyncio.Event()
        self.drawn = asyncio.Event()
        self.base_url = ""
        self._port = port
        self._ledger = ledger
        self._latency = latency
        self._compatible = compatible
        self._thumbnails = thumbnails
        self._misbehave = misbehave
        self._faults: deque[str] = deque()
        self._down = ""
        self.at_once = self.most_at_once = 0
        self._images: dict[str, bytes] = {}

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1_000_000)
        app.router.add_post("/v1/images/generations", self._generate)
        app.router.add_post("/v1/images/{operation:edit|variation}s", self._generate)
        app.router.add_get("/images/{name}", self._download)
        app.router.add_post("/control/faults", self._control)
        app.router.add_post("/control/down", self._break_down)
        app.router.add_get("/control", self._tell)
        # As OpenAI does, it finishes (and bills) what a caller no longer waits for.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=False, shutdown_timeout=0.2
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self.base_url = f"{self.origin}/v1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    def fail_with(self, *faults: str) -> None:
        """Misbehave so in the next calls; the calls after them are served."""
        for fault in faults:
            if fault.partition(":")[0] not in FAULTS:
                msg = f"no such fault: {fault}"
                raise ValueError(msg)
        self._faults.extend(faults)

    def link_to(self, data: bytes) -> str:
        """Return a link to `data`, as dall-e would answer with."""
        name = str(len(self._images))
        self._images[name] = data
        return f"{self.origin}/images/{name}"

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        try:
            call = await self._accepted(request)
        except Refusal as refusal:
            return web.json_response(refusal.body, status=refusal.status)
        self._note("received", call)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._answered(request, call)
        finally:
            self.at_once -= 1

    async def _answered(self, request: web.Request, call: Call) -> web.StreamResponse:
        if fault := self._next_fault(call):
            self._note("failed", call)
            name, _, argument = fault.partition(":")
            response = await FAULTS[name](request, call, argument)
        else:
            await asyncio.sleep(self._latency.total_seconds())
            body = self._drawn(call)
            if call.streams and not self._compatible:
                response = await stream(request, call, body)
            else:
                response = web.json_response(body)
            self._note("answered", call)
            self.drawn.set()
        if not response.prepared:
            response.headers["x-request-id"] = call.id
        return response

    def _next_fault(self, call: Call) -> str:
        if fault := self._down or self._misbehave(call.prompt):
            return fault
        return self._faults.popleft() if self._faults else ""

    async def _accepted(self, request: web.Request) -> Call:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refusal(
                "Incorrect API key provided.", code="invalid_api_key", status=401
            )
        operation, files = request.match_info.get("operation", "generation"), []
        if operation == "generation":
            fields = _json(await request.read())
        else:
            fields, files = await read_form(request)
        self.requests.append(fields)
        self.files.append(files)
        self.called.set()
        call = check(fields, operation=operation, compatible=self._compatible)
        if operation != "generation":
            check_files(fields, files, operation=operation, compatible=self._compatible)
        return call

    def _drawn(self, call: Call) -> dict[str, Any]:
        width, height = (182, 182) if self._thumbnails else (call.width, call.height)
        items = []
        for index in range(call.n):
            data = draw(
                f"{call.prompt}/{call.id}/{index}",
                width=width,
                height=height,
                image_format=call.image_format,
            )
            if call.as_url:
                items.append({"url": self.link_to(data)})
            else:
                items.append({"b64_json": base64.b64encode(data).decode()})
        if call.fields.get("model") == "dall-e-3":
            items[0]["revised_prompt"] = f"In detail: {call.prompt}"
        tokens = {"input_tokens": 10, "output_tokens": 272 * call.n}
        usage = {
            **tokens,
            "total_tokens": sum(tokens.values()),
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 0},
        }
        return {"created": int(_now().timestamp()), "data": items, "usage": usage}

    async def _download(self, request: web.Request) -> web.Response:
        data = self._images.get(request.match_info["name"])
        if data is None:
            raise web.HTTPNotFound
        return web.Response(body=data)

    async def _control(self, request: web.Request) -> web.Response:
        self.fail_with(*(await request.json())["faults"])
        return web.json_response({"waiting": len(self._faults)})

    async def _break_down(self, request: web.Request) -> web.Response:
        self._down = (await request.json())["fault"]
        return web.json_response({})

    async def _tell(self, _: web.Request) -> web.Response:
        return web.json_response({"most_at_once": self.most_at_once})

    def _note(self, event: str, call: Call) -> None:
        if self._ledger is None:
            return
        line = {
            "at": _now().isoformat(),
            "event": event,
            "prompt": call.prompt,
            "n": call.n,
            "call": call.id,
        }
        fd = os.open(self._ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, orjson.dumps(line) + b"\n")
        finally:
            os.close(fd)


def _json(body: bytes) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise Refusal("We could not parse the JSON body.", code=None) from exc
    return fields


def _now() -> datetime:
    return datetime.now(UTC)


async def _serve(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with OpenAIUpstream(
        port=arguments.port,
        ledger=arguments.ledger,
        latency=timedelta(milliseconds=arguments.latency_ms),
        thumbnails=arguments.thumbnails,
        misbehave=as_told
        if arguments.as_told
        else now_and_then(arguments.mischief, seed=arguments.seed),
    ) as upstream:
        upstream.fail_with(*arguments.fault)
        sys.stdout.write(f"{upstream.base_url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ledger", type=Path)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--thumbnails", action="store_true")
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--mischief", type=float, default=0, help="share of prompts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--as-told", action="store_true", help="faults are in prompts")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
