"""An S3 store in a folder, which answers wrongly or not at all as often as told.

In a test: `async with RoughStore(folder) as store`, then `store.url`. As a process of
its own: `python -m tests.fakes.rough_store --folder F --port 0 --errors 0.3`; it writes
its URL on the first line of its output. `POST /control/manners` changes both shares.

Half of what goes wrong does so behind the write: the object is there, and nobody is
told. An object appears whole or not at all, and its file's time is when it did.
"""

import argparse
import asyncio
import os
import random
import secrets
import signal
import sys
from html import escape
from http import HTTPStatus
from pathlib import Path
from typing import Self
from urllib.parse import quote

from aiohttp import web

_PARTS = ".parts"
_PAGE = 1000
_ERROR = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message></Error>'
_LISTING = (
    '<?xml version="1.0"?><ListBucketResult><IsTruncated>{more}</IsTruncated>'
    "<NextContinuationToken>{last}</NextContinuationToken>{items}</ListBucketResult>"
)
_REFUSALS = ("InternalError", "SlowDown", "reset")


class RoughStore:
    """Serves one bucket on a port of 127.0.0.1 while the context is open.

    Args:
        folder: Of the objects, by bucket and key; read it freely.
        port: 0 takes a free one.
        errors: Share of the requests that are refused or cut off.
        hangs: Share of them that are never answered.
        seed: Of the dice.

    Attributes:
        spoiled: How many requests went wrong so far.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        errors: float = 0,
        hangs: float = 0,
        seed: int = 0,
    ) -> None:
        self._folder, self._port = folder, port
        self._errors, self._hangs = errors, hangs
        self._dice = random.Random(seed)
        self.spoiled = 0

    async def __aenter__(self) -> Self:
        (self._folder / _PARTS).mkdir(parents=True, exist_ok=True)
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/control/manners", self._mind)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _mind(self, request: web.Request) -> web.Response:
        manners = await request.json()
        self._errors, self._hangs = manners["errors"], manners["hangs"]
        return web.json_response({"spoiled": self.spoiled})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if not _is_signed(request):
            return _refusal("AccessDenied", HTTPStatus.FORBIDDEN)
        luck, is_done = self._dice.random(), self._dice.random() < 1 / 2
        if luck >= self._errors + self._hangs:
            return await self._served(request)
        self.spoiled += 1
        if is_done:
            await self._served(request)
        if luck >= self._errors:
            await asyncio.Event().wait()
        match self._dice.choice(_REFUSALS):
            case "reset":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "SlowDown" as code:
                return _refusal(code, HTTPStatus.SERVICE_UNAVAILABLE)
            case code:
                return _refusal(code, HTTPStatus.INTERNAL_SERVER_ERROR)

    async def _served(self, request: web.Request) -> web.Response:
        if request.query.get("list-type") == "2":
            return self._listed(request)
        path = self._folder / request.match_info["path"]
        match request.method:
            case "PUT":
                self._put(path, await request.read())
                return web.Response()
            case "DELETE":
                path.unlink(missing_ok=True)
                return web.Response(status=HTTPStatus.NO_CONTENT)
        try:
            return web.Response(body=path.read_bytes())
        except OSError:
            return _refusal("NoSuchKey", HTTPStatus.NOT_FOUND)

    def _put(self, path: Path, data: bytes) -> None:
        part = self._folder / _PARTS / secrets.token_hex(8)
        part.write_bytes(data)
        path.parent.mkdir(parents=True, exist_ok=True)
        part.rename(path)

    def _listed(self, request: web.Request) -> web.Response:
        bucket = self._folder / request.match_info["path"]
        query, names = request.query, list[str]()
        prefix = query.get("prefix", "")
        for folder, _, files in os.walk((bucket / prefix).parent):
            at = Path(folder).relative_to(bucket)
            names += [str(at / file) for file in files]
        after = query.get("continuation-token", "")
        names = sorted(n for n in names if n.startswith(prefix) and n > after)
        page = names[: min(_PAGE, int(query.get("max-keys", _PAGE)))]
        more = len(page) < len(names)
        items = "".join(
            f"<Contents><Key>{escape(name)}</Key></Contents>" for name in page
        )
        last = quote(page[-1]) if more else ""
        body = _LISTING.format(more=str(more).lower(), last=last, items=items)
        return web.Response(text=body, content_type="application/xml")


def _is_signed(request: web.Request) -> bool:
    return "Authorization" in request.headers or "X-Amz-Signature" in request.query


def _refusal(code: str, status: HTTPStatus) -> web.Response:
    return web.Response(status=status, text=_ERROR.format(code=code))


async def _serve(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with RoughStore(
        arguments.folder,
        port=arguments.port,
        errors=arguments.errors,
        hangs=arguments.hangs,
        seed=arguments.seed,
    ) as store:
        sys.stdout.write(f"{store.url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--errors", type=float, default=0)
    parser.add_argument("--hangs", type=float, default=0)
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
