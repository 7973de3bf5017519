"""A client as one would wish: it keeps its word, and asks again under the same name."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from service.core.jobs import JobState

_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0
_PATIENCE_S = 120
_HOLD_S = 10
_AGAIN = frozenset({429, 502, 503})


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any


class Client:
    """Speaks to one front door with one key.

    Attributes:
        asked: Submissions sent, repeats included.
    """

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, *, secret: str
    ) -> None:
        self._session, self._base_url, self._secret = session, base_url, secret
        self.asked = 0

    def using(self, secret: str) -> "Client":
        """Return another client, with a key of its own."""
        return Client(self._session, self._base_url, secret=secret)

    async def submit_once(
        self, prompt: str, *, name: str, model: str, n: int = 1
    ) -> Answer:
        """Send one submission.

        Raises:
            aiohttp.ClientError | TimeoutError: There was no answer.
        """
        self.asked += 1
        return await self._ask(
            "POST",
            "/v1/jobs",
            json={"model": model, "prompt": prompt, "n": n},
            headers={"Idempotency-Key": name},
        )

    async def submit(self, prompt: str, *, name: str, model: str, n: int = 1) -> str:
        """Return the id of the accepted job, however often it takes to ask."""
        deadline, pause_s = time.monotonic() + _PATIENCE_S, _PAUSE_S
        while True:
            try:
                answer = await self.submit_once(prompt, name=name, model=model, n=n)
            except (aiohttp.ClientError, TimeoutError):
                answer = Answer(503, "no answer")
            if answer.status == 202:
                return str(answer.body["id"])
            assert answer.status in _AGAIN, answer
            assert time.monotonic() < deadline, answer
            await asyncio.sleep(random.uniform(pause_s / 2, pause_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def cancel(self, job_id: str) -> Answer:
        """Ask that a job be called off."""
        return await self._ask("POST", f"/v1/jobs/{job_id}/cancel")

    async def final(
        self, job_id: str, *, patience_s: float = _PATIENCE_S
    ) -> dict[str, Any]:
        """Return the job as soon as it is final."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                answer = await self._ask("GET", f"/v1/jobs/{job_id}?wait={_HOLD_S}")
            except (aiohttp.ClientError, TimeoutError):
                answer = Answer(503, "no answer")
            assert answer.status in {200, *_AGAIN}, answer
            if answer.status == 200 and JobState(answer.body["status"]).is_final:
                job: dict[str, Any] = answer.body
                return job
            assert time.monotonic() < deadline, answer
            if answer.status != 200:
                await asyncio.sleep(_PAUSE_S)

    async def jobs(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every job of the account, newest first."""
        after = ""
        while True:
            answer = await self._ask("GET", f"/v1/jobs?limit=100{after}")
            assert answer.status == 200, answer
            for job in answer.body["data"]:
                yield job
            if not answer.body["has_more"]:
                return
            after = f"&after={answer.body['last_id']}"

    async def image(self, url: str) -> bytes:
        """Return what a signed URL reads, without a key."""
        async with self._session.get(url) as response:
            assert response.status == 200, response.status
            return await response.read()

    async def readiness(self) -> Answer:
        """Return what `/readyz` says; 503 when nobody answers."""
        try:
            return await self._ask("GET", "/readyz")
        except (aiohttp.ClientError, TimeoutError):
            return Answer(503, {})

    async def _ask(self, method: str, path: str, **options: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self._secret}"}
        headers |= options.pop("headers", {})
        url = f"{self._base_url}{path}"
        async with self._session.request(
            method, url, headers=headers, **options
        ) as response:
            return Answer(response.status, await response.json())
