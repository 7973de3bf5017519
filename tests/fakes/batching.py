"""A front door's machinery for batches, without the door, and lines to feed it with."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from service.accounts import ApiKey, Grant
from service.api.batch_lines import BatchLines
from service.backends import Backends, open_backends
from service.batches import Batch, Batches, BatchKind, NewBatch
from service.catalog_file import LiveCatalog
from service.files import Line
from service.files.writing import Terms
from service.imaging import Imaging
from service.intake import Intake
from service.intake.batches import Acceptance
from service.intake.feeding import Feeder
from service.intake.inputs import Inputs
from service.intake.links import Links
from service.intake.repeats import Repeats
from service.job_store.fleet import Fleet
from service.outbound import Outbound
from service.settings import Settings

DAY = timedelta(days=1)


@dataclass(kw_only=True)
class BatchStand:
    """Takes batches of account `ada` in, and feeds them while a feeder is open."""

    backends: Backends
    intake: Intake
    acceptance: Acceptance
    key: ApiKey

    @property
    def batches(self) -> Batches:
        return self.backends.batches

    def feeder(self) -> Feeder:
        return Feeder(self.intake, self.acceptance, self.backends.redis)

    async def begin(self, **wishes: Any) -> Batch:
        fields = {
            "account": self.key.account,
            "key_id": self.key.id,
            "kind": BatchKind.NATIVE,
            "endpoint": "/v1/jobs",
            "expires_after": DAY,
            "completion_window": "24h",
        }
        return (await self.batches.begin(NewBatch(**{**fields, **wishes}))).batch

    async def take(self, lines: Iterable[Any], **wishes: Any) -> Batch:
        """Take in a native batch of these lines; a number stands for so many foxes."""
        batch = await self.begin(**wishes)
        return await self.acceptance.take(batch, coming(lines), key=self.key)

    async def upload(self, content: bytes) -> str:
        """Keep a file of lines; return its id."""
        async with self.backends.files.writing() as writing:
            await writing.add(content)
            kept = await writing.keep(
                Terms(
                    account=self.key.account,
                    filename="lines.jsonl",
                    purpose="batch",
                    expires_after=None,
                )
            )
        return kept.file_id

    async def get(self, batch: Batch) -> Batch:
        return await self.batches.get(batch.id, account=batch.account)

    async def ended(self, batch: Batch, *, within_s: float = 20) -> Batch:
        async with asyncio.timeout(within_s):
            while not (batch := await self.get(batch)).state.is_final:
                await asyncio.sleep(0.01)
        return batch

    async def under_way(self, batch: Batch) -> set[int]:
        name = f"darkroom:batch:{batch.id}:open"
        return {int(n) for n in await self.backends.redis.smembers(name)}


@contextlib.asynccontextmanager
async def batch_stand(
    redis_url: str, folder: Path, *, grant: Grant | None = None, **settings: Any
) -> AsyncIterator[BatchStand]:
    """Open what a front door has for batches; `settings` as `Settings` takes them."""
    wanted = Settings(redis_url=redis_url, data_dir=folder, **settings)
    live = LiveCatalog(wanted.catalog_file)
    async with contextlib.AsyncExitStack() as stack:
        backends = await stack.enter_async_context(open_backends(wanted))
        outbound = await stack.enter_async_context(Outbound(wanted.outbound))
        imaging = Imaging(processes=1)
        stack.push_async_callback(imaging.close)
        links = Links(
            outbound,
            most_bytes=wanted.limits.file_bytes,
            most_together=wanted.limits.upload_bytes,
            within=timedelta(seconds=wanted.limits.reference_s),
        )
        key, _ = await backends.accounts.create(grant or Grant(account="ada"))
        yield BatchStand(
            backends=backends,
            intake=Intake(
                live=live,
                fleet=Fleet(backends.redis),
                jobs=backends.jobs,
                images=backends.images,
                repeats=Repeats(backends.redis),
                inputs=Inputs(backends.images, imaging, links),
            ),
            acceptance=Acceptance(
                live=live,
                accounts=backends.accounts,
                batches=backends.batches,
                jobs=backends.jobs,
                files=backends.files,
                reader=BatchLines(wanted.limits, default_model=None),
                most_lines=wanted.limits.batch_lines,
            ),
            key=key,
        )


def foxes(count: int, **fields: Any) -> list[dict[str, Any]]:
    """Return that many sound native lines."""
    fox = {"model": "test/test", "size": "64x64", **fields}
    return [{**fox, "prompt": f"fox {n}", "custom_id": f"c{n}"} for n in range(count)]


async def coming(lines: Iterable[Any]) -> AsyncIterator[Line]:
    """Yield lines as an upload brings them; bytes come as they are."""
    for number, line in enumerate(lines, start=1):
        data = line if isinstance(line, bytes) else orjson.dumps(line)
        yield Line(number, data)


def in_file(lines: Iterable[dict[str, Any]]) -> bytes:
    """Return a file of lines as OpenAI has them."""
    calls = (
        {
            "custom_id": line["custom_id"],
            "method": "POST",
            "url": "/v1/images/generations",
            "body": {name: line[name] for name in line if name != "custom_id"},
        }
        for line in lines
    )
    return b"\n".join(map(orjson.dumps, calls))
