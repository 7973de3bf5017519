"""Edit each image of a folder alike.

    folder_of_edits.py photos "in snow" snow

Uses Darkroom's Python client (`pip install` this project, or its folder on
PYTHONPATH, with httpx). Run it again after a crash: what was bought is fetched.
"""

import asyncio
import hashlib
import sys
from pathlib import Path

from service.client import AsyncDarkroom, DarkroomError

AT_ONCE = 20
"""The queue takes any number; this bounds what lies in this program's memory."""


async def edit(
    darkroom: AsyncDarkroom,
    photo: Path,
    prompt: str,
    out: Path,
    turn: asyncio.Semaphore,
) -> None:
    async with turn:
        name = hashlib.sha256(photo.read_bytes() + prompt.encode()).hexdigest()
        try:
            job = await darkroom.submit(
                prompt, model="test/test", images=[photo], idempotency_key=name
            )
            job = await darkroom.wait(job)
            if job.images:
                (out / f"{photo.stem}.png").write_bytes(await darkroom.image(job))
            print(photo.name, job.id, job.status)
        except DarkroomError as refused:
            print(photo.name, refused.code, refused)


async def main(folder: Path, prompt: str, out: Path) -> None:
    out.mkdir(exist_ok=True)
    turn = asyncio.Semaphore(AT_ONCE)
    async with AsyncDarkroom() as darkroom, asyncio.TaskGroup() as edits:
        for photo in sorted(folder.iterdir()):
            edits.create_task(edit(darkroom, photo, prompt, out, turn))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
