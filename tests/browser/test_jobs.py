"""Jobs as they change under one's eyes, and what one does with them."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_list_and_the_page_of_a_job_follow_what_happens(stage: Stage):
    _, secret = await stage.door.knows("following")
    async with stage.visitor("following") as page:
        await page.goto("/ui/jobs")
        await expect(page.get_by_role("heading", name="No jobs yet")).to_be_visible()

        job = await submitted(stage, secret, "a fox that takes long", "test/slow-60")
        row = page.locator(f"#row-{job}")
        await expect(row).to_contain_text("running")
        await row.get_by_role("link", name="a fox that takes long").click()
        await expect(page.get_by_text("Drawing, since")).to_be_visible()
        await page.get_by_role("button", name="Cancel").click()

        await expect(page.locator(".head .state")).to_have_text("canceled")
        await page.get_by_role("link", name="Jobs", exact=True).first.click()
        await expect(row).to_contain_text("canceled")


async def test_chosen_jobs_are_canceled_together(stage: Stage):
    _, secret = await stage.door.knows("choosing")
    ids = [await submitted(stage, secret, f"{n}", "test/slow-60") for n in range(3)]
    async with stage.visitor("choosing") as page:
        await page.goto("/ui/jobs")
        bulk = page.get_by_role("group", name="With those chosen")
        await expect(bulk).not_to_be_visible()

        await page.get_by_label(f"Choose {ids[0]}").check()
        await page.get_by_label(f"Choose {ids[2]}").check()
        await bulk.get_by_role("button", name="Cancel").click()

        for job, word in zip(ids, ("canceled", "running", "canceled"), strict=True):
            await expect(page.locator(f"#row-{job}")).to_contain_text(word)
        await expect(bulk).not_to_be_visible()


async def test_a_choice_outlives_what_happens_meanwhile(stage: Stage):
    _, secret = await stage.door.knows("waiting")
    first = await submitted(stage, secret, "first", "test/slow-60")
    async with stage.visitor("waiting") as page:
        await page.goto("/ui/jobs")
        await page.get_by_label(f"Choose {first}").check()

        second = await submitted(stage, secret, "second", "test/slow-60")
        await expect(page.locator(f"#row-{second}")).to_be_visible()

        await expect(page.get_by_label(f"Choose {first}")).to_be_checked()


async def test_a_failure_says_what_to_do_and_is_retried(stage: Stage):
    _, secret = await stage.door.knows("failing")
    job = await submitted(stage, secret, "never", "test/refuse")
    async with stage.visitor("failing") as page:
        await page.goto(f"/ui/jobs/{job}")

        await expect(page.locator(".notice")).to_contain_text("Say it differently")
        await expect(page.locator(".timeline")).to_contain_text("content_policy")
        await page.get_by_role("button", name="Retry").click()

        await expect(page).not_to_have_url(re.compile(job))
        await expect(page.locator(".job aside")).to_contain_text("retry of")


async def submitted(stage: Stage, secret: str, prompt: str, model: str) -> str:
    answer = await stage.door.post(
        "/v1/jobs", {"prompt": prompt, "model": model}, secret=secret
    )
    return answer.body["id"]
