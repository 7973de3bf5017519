"""Coming in, finding one's way, and going out again, with a real browser."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.stage import NARROW, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_key_opens_the_page_that_was_asked_for(stage: Stage):
    _, secret = await stage.door.knows("frame")
    context = await stage.browser.new_context(base_url=stage.door.url)
    page = await context.new_page()

    await page.goto("/ui/jobs?status=failed")
    await page.get_by_label("API key").fill("sk_of-nobody")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("not known")
    await page.get_by_label("API key").fill(secret)
    await page.keyboard.press("Enter")

    await expect(page).to_have_url(re.compile(r"/ui/jobs\?status=failed$"))
    await expect(page.get_by_role("heading", name="No such jobs")).to_be_visible()
    [cookie] = await context.cookies(f"{stage.door.url}/ui")
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert await page.evaluate("document.cookie") == ""
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("API key")).to_be_visible()
    await context.close()


async def test_keys_alone_lead_everywhere(stage: Stage):
    async with stage.visitor("frame") as page:
        await page.goto("/ui/jobs")

        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
        await page.keyboard.press("Escape")
        await page.keyboard.press("/")
        await expect(page.get_by_role("searchbox")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("g")
        await page.keyboard.press("j")

        await expect(page).to_have_url(re.compile("/ui/jobs$"))


async def test_a_phone_has_a_menu_and_nothing_to_scroll_sideways(stage: Stage):
    async with stage.visitor("frame", size=NARROW) as page:
        await page.goto("/ui/jobs")

        assert await page.evaluate("document.documentElement.scrollWidth") == NARROW[0]
        await expect(page.get_by_role("link", name="Batches")).not_to_be_visible()
        await page.get_by_role("button", name="Menu").click()
        await expect(page.get_by_role("link", name="Batches")).to_be_visible()
