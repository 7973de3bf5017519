"""Brings what became of the lines of a batch into a folder: images, then their entry.

Several are fetched at a time, and entered in the order in which they were told, which
is what the manifest's promise rests on.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, NamedTuple

from service.cli.batch.entries import DOWNLOAD_FAILED, Entry
from service.cli.batch.manifest import Manifest
from service.cli.images import ImageLost, save_images
from service.client import AsyncDarkroom, BatchResult, Error, Job, NotFound

_ABREAST = 16

OnEntry = Callable[[Entry], None]
"""Is told of every entry as it is added."""


class Place(NamedTuple):
    """Where a result belongs: the line of the prompt in its file, and the prompt."""

    line: int
    prompt: str


class _Found(NamedTuple):
    place: Place
    batch: str | None
    custom_id: str | None
    job: Job | None
    error: Error | None


async def bring(
    client: AsyncDarkroom,
    batch: str,
    *,
    manifest: Manifest,
    place_of: Callable[[BatchResult], Place],
    follow: bool,
    on_entry: OnEntry,
    after: int,
) -> None:
    """Enter the results of a batch that are not here yet.

    Args:
        client: Tells them.
        batch: Its id.
        manifest: Says which are here.
        place_of: Says where a result belongs.
        follow: Wait for those to come; else only what there is.
        on_entry: See `OnEntry`.
        after: So many are here, and need not be told: `manifest.taken`.

    Raises:
        DarkroomError: Nothing further can be done now; a later run goes on from here.
        Failure: Likewise.
    """

    async def told() -> AsyncGenerator[_Found, None]:
        results = client.results(batch, after=after, follow=follow)
        async with aclosing(results):
            async for result in results:
                place, error = place_of(result), result.error
                if not manifest.is_entered(place.line, batch):
                    yield _Found(place, batch, result.custom_id, result.job, error)

    await _Entering(client, manifest, on_entry).enter(told())


async def bring_again(
    client: AsyncDarkroom, *, manifest: Manifest, on_entry: OnEntry
) -> None:
    """Fetch images that were made and are not here, as far as they can still be had.

    Raises:
        DarkroomError: As `bring`.
        Failure: Likewise.
    """

    async def missing() -> AsyncGenerator[_Found, None]:
        for entry in list(manifest.entries.values()):
            if not entry.was_made or manifest.is_done(entry.line) or not entry.job_id:
                continue
            try:
                job = await client.job(entry.job_id)
            except NotFound:
                continue  # it has to be made anew
            place = Place(entry.line, entry.prompt)
            yield _Found(place, entry.batch, entry.custom_id, job, None)

    await _Entering(client, manifest, on_entry).enter(missing())


class _Entering:
    def __init__(
        self, client: AsyncDarkroom, manifest: Manifest, on_entry: OnEntry
    ) -> None:
        self._client, self._manifest, self._on_entry = client, manifest, on_entry

    async def enter(self, found: AsyncGenerator[_Found, None]) -> None:
        """Enter all that is found, in that order."""
        fetched = asyncio.Queue[asyncio.Task[Entry] | None](_ABREAST)
        try:
            async with aclosing(found), asyncio.TaskGroup() as tasks:
                tasks.create_task(self._add_all(fetched))
                async for one in found:
                    await fetched.put(tasks.create_task(self._entry(one)))
                await fetched.put(None)
        except ExceptionGroup as group:
            # One failure stops all; the first says why.
            raise group.exceptions[0] from None

    async def _add_all(
        self, fetched: asyncio.Queue[asyncio.Task[Entry] | None]
    ) -> None:
        while (task := await fetched.get()) is not None:
            entry = await task
            self._manifest.add(entry)
            self._on_entry(entry)

    async def _entry(self, found: _Found) -> Entry:
        status, error, images = "failed", _shown(found.error), list[dict[str, Any]]()
        job = found.job
        if job is not None:
            status, error = job.status, job.raw["error"]
        if job is not None and status == "succeeded":
            try:
                images = await save_images(
                    self._client, job, self._naming(found.place.line)
                )
            except ImageLost as exc:
                status = "failed"
                error = {"code": DOWNLOAD_FAILED, "message": str(exc)}
        elif error is None:
            error = {"code": status, "message": f"the job is {status}"}
        return Entry(
            line=found.place.line,
            prompt=found.place.prompt,
            custom_id=found.custom_id,
            batch=found.batch,
            job_id=job.id if job else None,
            status=status,
            images=[image | {"file": Path(image["file"]).name} for image in images],
            error=error,
            cost=job.cost if job else None,
        )

    def _naming(self, line: int) -> Callable[[int, str], Path]:
        folder = self._manifest.folder
        return lambda i, suffix: folder / f"{line:05d}-{i}.{suffix}"


def _shown(error: Error | None) -> dict[str, Any] | None:
    return {"code": error.code, "message": error.message} if error else None
