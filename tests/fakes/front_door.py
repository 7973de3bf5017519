"""A front door for clients to talk to: jobs finish when they are let, and it sulks.

It keeps the promises that clients build on (the same idempotency key joins the same
job) and breaks those it is told to: `refusals` are answered first, one a submission,
and `spoiled` says how many downloads come out wrong.
"""

import asyncio
import hashlib
from collections import deque
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.fakes.pictures import draw

KEY = "sk_client"

Refusal = tuple[int, str, dict[str, str]]
"""Status, code and headers; status 0 hangs up without an answer."""


class FrontDoor:
    """Serves on a port of 127.0.0.1 while the context is open.

    Attributes:
        jobs: By idempotency key, in order of arrival.
        failures: Code of the error by prompt; other prompts succeed.
        released: While it is not set, no job ends.
        most_open: The most jobs that were unfinished at once.
        strangers: Headers `Authorization` that came along with downloads.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.refusals: deque[Refusal] = deque()
        self.failures: dict[str, str] = {}
        self.spoiled = self.expired = 0
        self.released = asyncio.Event()
        self.released.set()
        self.arrived = asyncio.Condition()
        self.most_open = 0
        self.strangers: list[str] = []

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes(
            [
                web.post("/v1/jobs", self._submit),
                web.get("/v1/jobs/{id}", self._job),
                web.get("/pictures/{prompt}", self._picture),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def until(self, jobs: int) -> None:
        """Wait for so many jobs to have come."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.jobs) >= jobs)

    async def _submit(self, request: web.Request) -> web.Response:
        body, name = await request.json(), request.headers["Idempotency-Key"]
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        if self.refusals:
            status, code, headers = self.refusals.popleft()
            if status == 0:
                assert request.transport is not None
                request.transport.close()
            return _error(status or 500, code, headers)
        if not body["prompt"].isprintable():
            return _error(400, "invalid_text", {}, param="prompt")
        if body["model"] == "unknown":
            return _error(404, "unknown_model", {}, param="model")
        job = self.jobs.setdefault(name, {"id": f"job_{len(self.jobs)}", "body": body})
        self.most_open = max(self.most_open, sum("end" not in j for j in self.all()))
        async with self.arrived:
            self.arrived.notify_all()
        return web.json_response(self._shown(job), status=202)

    async def _job(self, request: web.Request) -> web.Response:
        job = next(j for j in self.all() if j["id"] == request.match_info["id"])
        if "wait" in request.query:
            await self.released.wait()
            job["end"] = True
        return web.json_response(self._shown(job))

    async def _picture(self, request: web.Request) -> web.Response:
        self.strangers += request.headers.getall("Authorization", [])
        if self.expired:
            self.expired -= 1
            return _error(403, "url_expired", {})
        data = _bytes(request.match_info["prompt"])
        if self.spoiled:
            self.spoiled -= 1
            data = data[:-1]
        return web.Response(body=data, content_type="image/png")

    def all(self) -> list[dict[str, Any]]:
        """Return the jobs, oldest first."""
        return list(self.jobs.values())

    def _shown(self, job: dict[str, Any]) -> dict[str, Any]:
        prompt = job["body"]["prompt"]
        shown = {"id": job["id"], "status": "running", "result": None, "error": None}
        code = self.failures.get(prompt)
        if "end" in job and code is not None:
            error = {"code": code, "message": "it went wrong"}
            return shown | {"status": "failed", "error": error}
        if "end" in job:
            images = [self._image(prompt)]
            return shown | {"status": "succeeded", "result": {"data": images}}
        return shown

    def _image(self, prompt: str) -> dict[str, Any]:
        return {
            "url": f"{self.url}/pictures/{prompt}",
            "sha256": hashlib.sha256(_bytes(prompt)).hexdigest(),
            "width": 8,
            "height": 8,
            "content_type": "image/png",
        }


def _bytes(prompt: str) -> bytes:
    return draw(prompt, width=8, height=8)


def _error(
    status: int, code: str, headers: dict[str, str], *, param: str | None = None
) -> web.Response:
    error = {"message": "no", "type": "error", "param": param, "code": code}
    return web.json_response({"error": error}, status=status, headers=headers)
