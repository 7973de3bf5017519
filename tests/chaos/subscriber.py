"""Somebody with endpoints, whose jobs end as soon as they are submitted."""

import asyncio
from collections.abc import Iterable
from typing import Any

import aiohttp

from service.webhooks import Deliveries, Delivery
from tests.chaos.stage import MODEL, SECRET, Stage
from tests.fakes.receiver import Receiver

ACCOUNT = "default"
_ABREAST = 16


class Subscriber:
    """An account with endpoints, and jobs that end at once."""

    def __init__(self, stage: Stage, session: aiohttp.ClientSession) -> None:
        self._stage, self._session = stage, session
        self._gate = asyncio.Semaphore(_ABREAST)
        self.store = Deliveries(stage.redis)

    async def ask(self, method: str, path: str, json: Any = None) -> Any:
        url = f"{self._stage.base_url}{path}"
        headers = {"Authorization": f"Bearer {SECRET}"}
        async with self._session.request(
            method, url, json=json, headers=headers
        ) as response:
            assert response.ok, await response.text()
            return await response.json()

    async def listen(self, url: str, receiver: Receiver) -> str:
        """Make an endpoint for the ends of jobs; return its id."""
        wanted = {"url": url, "events": ["job.canceled"]}
        made = await self.ask("POST", "/v1/endpoints", wanted)
        receiver.secrets.append(made["secret"])
        return str(made["id"])

    async def end_jobs(self, numbers: Iterable[int]) -> set[str]:
        """Submit jobs and cancel them; return their ids."""
        return set(await asyncio.gather(*map(self._end_job, numbers)))

    async def _end_job(self, number: int) -> str:
        async with self._gate:
            body = {"model": MODEL, "prompt": f"a fox, number {number}"}
            job = await self.ask("POST", "/v1/jobs", body | {"priority": "batch"})
            await self.ask("POST", f"/v1/jobs/{job['id']}/cancel")
        return str(job["id"])

    async def deliveries(self) -> list[Delivery]:
        """Return all of them, with their logs."""
        found, after, more = list[Delivery](), None, True
        while more:
            page, more = await self.store.page(ACCOUNT, limit=100, after=after)
            found += [await self.store.get(d.id, account=ACCOUNT) for d in page]
            after = page[-1].id
        return found
