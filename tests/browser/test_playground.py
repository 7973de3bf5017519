"""From a prompt to an image, and what a browser makes of hostile words."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.stage import NARROW, Stage
from tests.fakes.images import encoded, noise

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = '"><img src=x onerror="document.title=1"><script>document.title=2</script>'


async def test_a_prompt_becomes_an_image_that_is_seen(stage: Stage):
    async with stage.visitor("playing") as page:
        await page.goto("/ui/playground")
        await expect(page.get_by_label("Prompt")).to_be_focused()
        await expect(page.locator("#price")).to_contain_text("Free")

        await page.keyboard.type("a lighthouse in fog")
        await page.get_by_text("3:2", exact=True).click()
        await expect(page.locator("#price")).to_contain_text("1248")
        await page.keyboard.press("Control+Enter")

        image = page.get_by_role("img", name="Image 1: a lighthouse in fog")
        await expect(image).to_be_visible()
        await expect(page).to_have_url(re.compile(r"\?job=job_"))
        assert await is_drawn(page, ".pictures img")
        await expect(page.locator(".standing")).to_contain_text("1 image in")
        await page.get_by_text("Python", exact=True).click()
        await expect(page.locator(".pane.python")).to_contain_text("OpenAI(")
        await expect(page.locator(".pane.python")).to_be_visible()
        await expect(image).not_to_be_visible()


async def test_images_come_while_one_looks(stage: Stage):
    async with stage.visitor("looking") as page:
        await page.goto("/ui/playground")
        await page.get_by_label("Prompt").fill("slow")
        await page.locator("#model").evaluate(
            "select => select.add(new Option('test/slow-5', 'test/slow-5', true, true))"
        )
        await page.get_by_role("button", name="Make the image").click()

        await expect(page.locator("#pulse")).to_contain_text("1 running")
        await expect(page.locator(".standing")).to_contain_text("running")
        await expect(page.get_by_role("progressbar")).to_be_visible()
        await expect(page.get_by_role("img", name="Image 1: slow")).to_be_visible()
        await expect(page.locator("#pulse")).to_contain_text("0 running")


async def test_a_reference_is_dropped_seen_and_left_out(stage: Stage, tmp_path: Path):
    paths = [tmp_path / "one.png", tmp_path / "two.png"]
    for path in paths:
        path.write_bytes(encoded(noise(), "PNG"))
    async with stage.visitor("dropping") as page:
        await page.goto("/ui/playground")
        await page.locator("input[type=file]").set_input_files(paths)
        await page.get_by_role("button", name="Leave out two.png").click()
        await expect(page.locator("[data-previews] img")).to_have_count(1)

        await page.get_by_label("Prompt").fill("in the style of this")
        await page.get_by_role("button", name="Make the image").click()

        await expect(page.get_by_role("img", name="Image 1")).to_be_visible()
        await page.get_by_text("curl", exact=True).click()
        await expect(page.locator(".pane.curl")).to_contain_text("/v1/images/edits")


async def test_what_is_refused_is_said_and_nothing_is_lost(stage: Stage):
    async with stage.visitor("refused") as page:
        await page.goto("/ui/playground")
        await page.get_by_label("Prompt").fill("a fox")
        await page.get_by_text("More", exact=True).click()
        await page.get_by_label("Seed").fill("99999999999999999999"[:19])
        await page.get_by_role("button", name="Make the image").click()

        await expect(page.get_by_role("alert")).to_contain_text("seed")
        await expect(page.get_by_label("Prompt")).to_have_value("a fox")


async def test_hostile_prompts_are_words_on_every_page(stage: Stage):
    async with stage.visitor("hostile", size=NARROW) as page:
        await page.goto("/ui/playground")
        await page.get_by_label("Prompt").fill(HOSTILE)
        await page.get_by_role("button", name="Make the image").click()
        await expect(page.locator(".pictures img")).to_be_visible()
        for name in ("Playground", "Jobs", "Gallery"):
            await page.goto(f"/ui/{name.lower()}")
            await expect(page).to_have_title(f"{name} · Darkroom")
            assert await page.locator("[onerror]").count() == 0
        await page.goto("/ui/jobs")
        await page.get_by_role("link", name=HOSTILE).click()

        await expect(page.locator(".prompt")).to_have_text(HOSTILE)
        assert (await page.title()).startswith('"><img')


async def test_who_has_no_script_gets_the_same_image(stage: Stage):
    async with stage.visitor("plain", java_script_enabled=False) as page:
        await page.goto("/ui/playground")
        await page.get_by_label("Prompt").fill("without a script")
        await page.get_by_role("button", name="Make the image").click()

        await expect(page.get_by_role("img", name="Image 1: without")).to_be_visible()


async def is_drawn(page: Page, selector: str) -> bool:
    """Whether the browser has the image's pixels."""
    return await page.locator(selector).first.evaluate(
        "image => image.decode().then(() => image.naturalWidth > 0)"
    )
