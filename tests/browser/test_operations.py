"""Batches, webhooks and keys, as somebody works with them in a real browser."""

import csv
import json
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.stage import NARROW, Stage
from tests.fakes.postman import postman, quick
from tests.fakes.receiver import Receiver

pytestmark = pytest.mark.asyncio(loop_scope="session")

PARTI = Path(__file__).parents[1] / "data" / "partiprompts.tsv"
HOSTILE = '<img src=x onerror="document.title=1"><script>alert(1)</script> {{ 7 * 7 }}'


def sheet(count: int, *, model: str) -> bytes:
    """So many small PartiPrompts, and one that means harm, as JSONL."""
    with PARTI.open() as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        prompts = [HOSTILE, *(row["Prompt"] for row in rows)][:count]
    asked = {"model": model, "size": "256x256"}
    return "".join(json.dumps({"prompt": p, **asked}) + "\n" for p in prompts).encode()


async def upload(page: Page, content: bytes, name: str) -> None:
    await page.goto("/ui/batches/new")
    file = {"name": name, "mimeType": "application/jsonl", "buffer": content}
    await page.get_by_label("Or a file").set_input_files(file)  # type: ignore[arg-type]
    await page.get_by_role("button", name="Look at it").click()


def agree(page: Page) -> None:
    """Say yes to whatever the page asks before it does something."""
    page.on("dialog", lambda dialog: dialog.accept())


async def test_a_batch_is_watched_and_canceled(stage: Stage):
    async with stage.visitor("batching") as page:
        agree(page)
        await upload(page, sheet(130, model="test/slow-2"), "parti.jsonl")
        await expect(page.locator("#sheet tbody tr")).to_have_count(10)
        await expect(page.get_by_role("cell", name=HOSTILE)).to_be_visible()
        await page.get_by_role("button", name="Start 130 prompts").click()

        await expect(page).to_have_url(re.compile("/ui/batches/batch_"))
        await expect(page.locator("#batch .head .state")).to_have_text("running")
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.locator("#batch .head .state")).to_have_text("canceled")

        figures = page.locator("#batch .figures")
        await expect(figures).to_contain_text("Called off")
        await expect(page.locator("#batch .gallery img").first).to_be_visible()
        assert await page.title() == "parti.jsonl · Darkroom"
        await page.get_by_role("link", name="Batches", exact=True).first.click()
        await expect(page.locator(".batches li")).to_contain_text("called off")


async def test_a_delivery_that_failed_is_sent_again(stage: Stage):
    rules = {"webhooks": quick()}
    async with (
        Receiver() as receiver,
        postman(stage.door.settings.model_copy(update=rules)),
        stage.visitor("hooked") as page,
    ):
        await page.goto("/ui/webhooks")
        await page.get_by_role("link", name="Add an endpoint").click()
        await page.get_by_label("Address").fill(f"{receiver.url}/images")
        await page.get_by_role("button", name="Add the endpoint").click()
        receiver.secrets.append(await page.locator(".code code").first.inner_text())
        receiver.status, receiver.says = 500, b"<b>later</b>"
        await page.get_by_role("button", name="Send a test").click()

        state = page.locator("#delivery .head .state")
        await expect(state).to_have_text("failed")
        await expect(page.locator(".answer").first).to_have_text("<b>later</b>")
        receiver.status, receiver.says = 200, b"thanks"
        await page.get_by_role("button", name="Send again").click()

        await expect(state).to_have_text("delivered")
        await expect(page.locator(".answer").first).to_have_text("thanks")
        assert len({heard.id for heard in receiver.heard}) == 1


async def test_a_key_is_made_shown_once_and_revoked(stage: Stage):
    async with stage.visitor("keeper") as page:
        agree(page)
        await page.goto("/ui/keys")
        await page.get_by_role("link", name="New key").click()
        await page.get_by_label("Account", exact=True).fill("calendar")
        await page.get_by_role("button", name="Make the key").click()
        secret = await page.locator(".code code").first.inner_text()
        before = await stage.door.get("/v1/jobs", secret=secret)

        await page.get_by_role("link", name="Keys & usage").first.click()
        row = page.get_by_role("row").filter(has_text="calendar")
        await row.get_by_role("button", name="Revoke").click()

        await expect(row).to_contain_text("revoked")
        after = await stage.door.get("/v1/jobs", secret=secret)
        assert (before.status, after.code) == (200, "key_revoked")


@pytest.mark.parametrize(
    "place",
    ["batches/new", "queue", "providers", "webhooks/new", "keys", "system"],
)
async def test_a_phone_shows_it_without_scrolling_sideways(stage: Stage, place: str):
    async with stage.visitor("phone", size=NARROW) as page:
        await page.goto(f"/ui/{place}")

        await expect(page.get_by_role("heading").first).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") == NARROW[0]
