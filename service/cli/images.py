"""Brings the images of a finished job onto the disk, whole and checked."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.cli.failure import Failure
from service.client import AsyncDarkroom, Image, Job, Refused

_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
_KEPT = ("sha256", "width", "height", "content_type")
_TRIES = 4


class ImageLost(Exception):
    """An image was made and does not arrive; the message says why."""


async def save_images(
    client: AsyncDarkroom, job: Job, path_of: Callable[[int, str], Path]
) -> list[dict[str, Any]]:
    """Write each image of a succeeded job where `path_of` its number and suffix says.

    A file appears under its name only when it is complete and has the sha256 that
    the job recorded.

    Returns:
        For each: `file` (its path), `sha256`, `width`, `height`, `content_type`.

    Raises:
        ImageLost: It cannot be had.
        DarkroomError: The front door was away too long.
        Failure: The disk takes no more.
    """
    saved = []
    for number in range(len(job.images)):
        image, data = await _fetched(client, job, number)
        path = path_of(number, _SUFFIXES.get(image.content_type, "bin"))
        await asyncio.to_thread(write, path, data)
        saved.append({"file": os.fspath(path)} | {n: getattr(image, n) for n in _KEPT})
    return saved


async def _fetched(client: AsyncDarkroom, job: Job, number: int) -> tuple[Image, bytes]:
    problem = ""
    for again in range(_TRIES):
        try:
            if again:  # its URL may have expired meanwhile; each reading signs anew
                await asyncio.sleep(0.5 * (again - 1))
                job = await client.job(job.id)
            image = job.images[number]
            data = await client.download(image.url)
        except Refused as exc:
            if exc.may_pass:
                raise
            problem = str(exc)
            continue
        if hashlib.sha256(data).hexdigest() == image.sha256:
            return image, data
        problem = "its bytes are not those that were stored"
    raise ImageLost(f"image {number} of {job.id} cannot be downloaded: {problem}")


def write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, onto the disk itself.

    Raises:
        Failure: The disk takes no more, or the folder is gone.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as exc:
        raise Failure(f"cannot write {path}: {exc.strerror}") from exc
