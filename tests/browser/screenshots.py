"""Takes the pictures of the documentation: `make screenshots`, or some by name.

Everything on them is made here, by the test models, from PartiPrompts.
"""

import asyncio
import csv
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from playwright.async_api import Page

from tests.browser.stage import NARROW, WIDE, Stage, own_stage

ROOT = Path(__file__).parents[2]
INTO = ROOT / "docs" / "images"
ACCOUNT = "studio"
SIZES = ("1024x1024", "1536x1024", "1024x1536")
MOST_BYTES = 200_000
_COLORS = 255
_OF_LINES = {4: "test/refuse", 7: "test/fail", 9: "test/slow-2"}
_PATIENCE_MS = 120_000
LOW = (1280, 560)
"""Many pictures make a large one."""


class Shot(NamedTuple):
    """One picture.

    Attributes:
        path: Where it is taken; a name in braces stands for a job of that name.
        waits_for: A selector of what must be there.
    """

    path: str
    waits_for: str
    theme: str = "light"
    size: tuple[int, int] = WIDE


SHOTS: Mapping[str, Shot] = {
    "playground": Shot("/ui/playground?job={four}", ".pictures img"),
    "playground-dark": Shot("/ui/playground?job={four}", ".pictures img", "dark"),
    "playground-narrow": Shot("/ui/playground", "#price b", "dark", NARROW),
    "jobs": Shot("/ui/jobs", ".thumb img"),
    "jobs-narrow": Shot("/ui/jobs", ".thumb img", "light", NARROW),
    "job": Shot("/ui/jobs/{flaky}", ".timeline rect"),
    "gallery": Shot("/ui/gallery", ".gallery img", "dark", LOW),
    "batch": Shot("/ui/batches/{batch}", ".gallery img"),
    "queue": Shot("/ui/queue", ".workers td", "dark"),
    "providers": Shot("/ui/providers", ".sparkline"),
}


async def fill(stage: Stage) -> dict[str, str]:
    """Let an account have jobs of every kind; return some by name."""
    _, secret = await stage.door.knows(ACCOUNT)
    wanted = prompts()

    async def submit(prompt: str, model: str = "test/test", **fields: object) -> str:
        body = {"prompt": prompt, "model": model, **fields}
        answer = await stage.door.post("/v1/jobs", body, secret=secret)
        job_id: str = answer.body["id"]
        return job_id

    made = [
        await submit(next(wanted), size=SIZES[number % 3], n=1 + number % 4 // 3)
        for number in range(16)
    ]
    named = {
        "refused": await submit(next(wanted), "test/refuse"),
        "flaky": await submit(next(wanted), "test/flaky"),
        "four": await submit(next(wanted), n=4, size=SIZES[1]),
    }
    for job_id in (*made, *named.values()):
        await stage.door.get(f"/v1/jobs/{job_id}?wait=30", secret=secret)
    named["batch"] = await _batch(stage, secret, [next(wanted) for _ in range(36)])
    named["slow"] = await submit(next(wanted), "test/slow-300")
    called_off = await submit(next(wanted), "test/slow-300")
    await stage.door.post(f"/v1/jobs/{called_off}/cancel", secret=secret)
    return named


async def _batch(stage: Stage, secret: str, wanted: list[str]) -> str:
    """Let a batch end in which some lines fail; return its id."""
    asked = [
        {"prompt": prompt, "model": _OF_LINES.get(number % 12, "test/test")}
        for number, prompt in enumerate(wanted)
    ]
    answer = await stage.door.call(
        "POST",
        "/v1/batches?metadata.file=parti.tsv",
        data="".join(json.dumps(line) + "\n" for line in asked).encode(),
        secret=secret,
        Content_Type="application/x-ndjson",
    )
    batch_id: str = answer.body["id"]
    await stage.door.get(f"/v1/batches/{batch_id}/results?follow=true", secret=secret)
    return batch_id


def prompts() -> Iterator[str]:
    """Prompts that are sentences, and fit on a line."""
    with (ROOT / "tests" / "data" / "partiprompts.tsv").open() as lines:
        rows = csv.DictReader(lines, delimiter="\t")
        return iter([r["Prompt"] for r in rows if 24 < len(r["Prompt"]) < 64][::11])


async def take(page: Page, shot: Shot, named: Mapping[str, str]) -> bytes:
    """Return the picture, as a PNG of few colors."""
    page.set_default_timeout(_PATIENCE_MS)
    await page.goto(shot.path.format(**named), wait_until="domcontentloaded")
    await page.locator(shot.waits_for).first.wait_for()
    await page.locator("#pulse b").first.wait_for(state="attached")
    await page.evaluate(
        "Promise.all([...document.images].filter(i => i.checkVisibility())"
        ".map(i => { i.loading = 'eager'; return i.decode(); }))"
    )
    raw = await page.screenshot(animations="disabled")
    few = Image.open(BytesIO(raw)).convert("RGB").quantize(_COLORS)
    written = BytesIO()
    few.save(written, "PNG", optimize=True)
    return written.getvalue()


async def main(names: list[str]) -> None:
    """Take all pictures, or those that are named."""
    INTO.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with own_stage(Path(folder)) as stage:
            named = await fill(stage)
            for name in names or SHOTS:
                shot = SHOTS[name]
                async with stage.visitor(
                    ACCOUNT, size=shot.size, theme=shot.theme, device_scale_factor=1.5
                ) as page:
                    data = await take(page, shot, named)
                if len(data) > MOST_BYTES:
                    sys.exit(f"{name} has {len(data):,} bytes: show less")
                (INTO / f"{name}.png").write_bytes(data)
                sys.stdout.write(f"docs/images/{name}.png  {len(data):,} bytes\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
