"""Images reach the disk whole or not at all."""

from pathlib import Path
from typing import Any

import pytest

from service.cli.images import ImageLost, save_images
from service.client import AsyncDarkroom
from tests.fakes.gallery import KEY, PICTURE, Gallery


async def saved(gallery: Gallery, folder: Path) -> list[dict[str, Any]]:
    async with AsyncDarkroom(gallery.url, KEY) as client:
        job = await client.job("job_1")
        return await save_images(client, job, lambda i, kind: folder / f"{i}.{kind}")


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.mark.parametrize("trouble", ["none", "spoiled", "expired"])
async def test_an_image_is_asked_for_until_it_is_right(tmp_path: Path, trouble: str):
    async with Gallery() as gallery:
        gallery.spoiled, gallery.expired = trouble == "spoiled", trouble == "expired"

        [image] = await saved(gallery, tmp_path)

    assert (tmp_path / "0.png").read_bytes() == PICTURE
    assert (image["file"], image["width"]) == (str(tmp_path / "0.png"), 8)
    assert gallery.strangers == []


async def test_an_image_that_never_comes_right_leaves_nothing(tmp_path: Path):
    async with Gallery() as gallery:
        gallery.spoiled = 9

        with pytest.raises(ImageLost, match="not those that were stored"):
            await saved(gallery, tmp_path)

    assert files(tmp_path) == []
