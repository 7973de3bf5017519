"""Runs a batch from this side: submit, wait, fetch, write down, a window at a time.

Each prompt is a job of its own under the idempotency key `{fingerprint}:{line}:
{attempt}`, so that a run that was killed at any point joins on the next one what it
had submitted. Nothing is kept in memory but the window and what is finished.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.cli.batch.manifest import DOWNLOAD_FAILED, Entry, Manifest
from service.cli.batch.prompts import Line
from service.cli.failure import Failure
from service.cli.images import ImageLost, save_images
from service.client import (
    AsyncDarkroom,
    Forbidden,
    Job,
    NotFound,
    Refused,
    Unauthenticated,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is common to all jobs of a batch.

    Attributes:
        fingerprint: Of the file's content and the options.
        fields: Request fields from the options; a line's own win.
        window: Unfinished jobs at most.
    """

    fingerprint: str
    fields: Mapping[str, Any]
    window: int


async def run_batch(
    client: AsyncDarkroom,
    lines: Iterable[Line],
    *,
    plan: Plan,
    manifest: Manifest,
    on_entry: Callable[[Entry], None],
) -> None:
    """Bring every line to an entry of the manifest.

    Raises:
        DarkroomError: Nothing further can be done now; a later run goes on from here.
        Failure: Likewise.
    """
    waiting = iter(lines)
    batch = _Batch(client, plan, manifest, on_entry)
    try:
        async with asyncio.TaskGroup() as runners:
            for _ in range(plan.window):
                runners.create_task(batch.work_off(waiting))
    except ExceptionGroup as group:
        # One failure stops all runners; the first says why.
        raise group.exceptions[0] from None


class _Batch:
    def __init__(
        self,
        client: AsyncDarkroom,
        plan: Plan,
        manifest: Manifest,
        on_entry: Callable[[Entry], None],
    ) -> None:
        self._client, self._plan = client, plan
        self._manifest, self._on_entry = manifest, on_entry

    async def work_off(self, waiting: Iterator[Line]) -> None:
        """Take lines, one after the other, until none is left."""
        for line in waiting:
            entry = await self._entry(line)
            self._manifest.add(entry)
            self._on_entry(entry)

    async def _entry(self, line: Line) -> Entry:
        attempt = self._manifest.attempt(line.number)
        if line.problem is not None:
            error = {"code": "bad_line", "message": line.problem}
            return _failed(line, error, attempt=attempt)
        try:
            job = await self._submitted(line, attempt)
        except Refused as exc:
            self._stop_if_common(exc, line)
            error = {"code": exc.code, "message": str(exc)}
            return _failed(line, error, attempt=attempt)
        return await self._outcome(line, job, attempt)

    async def _submitted(self, line: Line, attempt: int) -> Job:
        plan = self._plan
        body = {
            "priority": "batch",
            "metadata": {"batch": plan.fingerprint[:16], "line": str(line.number)},
            **plan.fields,
            **line.fields,
            "prompt": line.prompt,
        }
        name = f"{plan.fingerprint}:{line.number}:{attempt}"
        return await self._client.submit(body, idempotency_key=name)

    async def _outcome(self, line: Line, job: Job, attempt: int) -> Entry:
        images: list[dict[str, Any]] = []
        try:
            job = await self._client.wait(job)
            status, error = job.status, job.raw["error"]
            if status == "succeeded":
                images = await save_images(self._client, job, self._naming(line))
            elif error is None:
                error = {"code": status, "message": f"the job is {status}"}
        except ImageLost as exc:
            status, error = "failed", {"code": DOWNLOAD_FAILED, "message": str(exc)}
        except NotFound as exc:  # deleted meanwhile
            status, error = "failed", {"code": exc.code, "message": str(exc)}
        return Entry(
            line=line.number,
            prompt=line.prompt,
            job_id=job.id,
            status=status,
            images=[image | {"file": Path(image["file"]).name} for image in images],
            error=error,
            attempt=attempt,
        )

    def _naming(self, line: Line) -> Callable[[int, str], Path]:
        folder = self._manifest.folder
        return lambda i, suffix: folder / f"{line.number:05d}-{i}.{suffix}"

    def _stop_if_common(self, refused: Refused, line: Line) -> None:
        """Stop the batch over what would refuse every other line too."""
        if refused.may_pass or isinstance(refused, Unauthenticated | Forbidden):
            raise refused
        if refused.param in self._plan.fields.keys() - line.fields.keys():
            raise Failure(f"{refused.code}: {refused}", exit_code=2) from refused


def _failed(line: Line, error: dict[str, Any], *, attempt: int) -> Entry:
    return Entry(
        line=line.number,
        prompt=line.prompt,
        job_id=None,
        status="failed",
        images=[],
        error=error,
        attempt=attempt,
    )
