"""A front door, a worker that draws, and browsers before them, all in this process."""

import contextlib
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from service.accounts import Scope
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.postman import LOOPBACK
from tests.fakes.studio import studio
from tests.fakes.valkey import Valkey

EVERYTHING = frozenset(Scope)
_REFUSED = re.compile(r"^Failed to load resource: .* status of 4\d\d")
_FILE = re.compile(r"/static/|/images/")
WIDE, NARROW = (1280, 840), (360, 760)


def chromium() -> str | None:
    """Return the browser of this machine; None: there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Stage:
    """Where a test looks at the dashboard with somebody's eyes."""

    def __init__(self, door: FrontDoor, browser: Browser) -> None:
        self.door, self.browser = door, browser

    @contextlib.asynccontextmanager
    async def visitor(
        self,
        account: str = "default",
        *,
        scopes: frozenset[Scope] = EVERYTHING,
        size: tuple[int, int] = WIDE,
        theme: str = "light",
        **options: Any,
    ) -> AsyncIterator[Page]:
        """Yield a page of somebody who has signed in with a new key of the account.

        Whatever the browser complains of fails the test: a script that crashes, or
        something that the page's policy forbids.
        """
        _, secret = await self.door.knows(account, scopes=scopes)
        context = await self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=theme,  # type: ignore[arg-type]
            base_url=self.door.url,
            **options,
        )
        try:
            await self._sign_in(context, secret)
            page = await context.new_page()
            complaints = heard(page)
            yield page
            assert complaints == []
        finally:
            await context.close()

    async def _sign_in(self, context: BrowserContext, secret: str) -> None:
        answer = await context.request.post(
            "/ui/sign-in",
            form={"key": secret},
            headers={"Origin": self.door.url},
            max_redirects=0,
        )
        assert answer.status == 303, await answer.text()


def heard(page: Page) -> list[str]:
    """Return what the page will complain of, as it does.

    Browsers call it an error when a form is refused; that is for the test to see.
    """
    complaints: list[str] = []

    def listen(message: Any) -> None:
        is_form = _REFUSED.search(message.text) and not _FILE.search(
            message.location["url"]
        )
        if message.type in {"error", "warning"} and not is_form:
            complaints.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


@contextlib.asynccontextmanager
async def staged(redis_url: str, folder: Path, **settings: Any) -> AsyncIterator[Stage]:
    """Open the door, hire the worker, start the browser."""
    async with (
        async_playwright() as playwright,
        front_door(redis_url, folder, **settings) as door,
        studio(door.settings),
    ):
        browser = await playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        try:
            yield Stage(door, browser)
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def own_stage(folder: Path) -> AsyncIterator[Stage]:
    """Open a stage with a Valkey of its own."""
    server = Valkey().start()
    try:
        async with staged(server.url, folder, outbound=LOOPBACK) as stage:
            yield stage
    finally:
        server.close()


def must_run() -> bool:
    """Whether a missing browser is a fault: in CI it is."""
    return "CI" in os.environ
