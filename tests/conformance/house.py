"""`darkroom up` as somebody runs it who comes from one of the hosted routers.

Its catalog is the packaged one, with the models that the pages name beside it and a
fake OpenAI behind `multiroute-image-latest`.
"""

import asyncio
import functools
import http.client
import http.server
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from redis.asyncio import Redis

from service.accounts import Accounts, Grant, Scope
from service.settings import PACKAGED_CATALOG, Limits
from tests.conformance.tools import tool
from tests.fakes.installation import Installation
from tests.fakes.openai_upstream import KEY as UPSTREAM_KEY
from tests.fakes.pictures import draw

SECRET = "sk_of-who-moves-in"

_HOSTS = (
    "https://api.rout.my",
    "https://api.multiroute.ai",
    "https://api.imagerouter.io",
    "https://backend.imagerouter.io",
)
_KEYS = ("sk_your_key_here", "YOUR_API_KEY")
_ELSEWHERE = "https://example.com"
"""Where the pages have their reference images."""
_YOURS = "/path/to/your/"
_FILES = ("image.webp", "image1.webp", "image2.webp", "image3.webp")
_REFERENCES = ("ref1.png", "ref2.png")
_ROOT = Path(__file__).parents[2]
_CATALOG = """
"image-model-alias" = "provider/image-model-id"
"other-alias" = "provider/other"
[models."provider/image-model-id"]
routes = ["test/test"]
features = ["generate", "edit", "mask", "quality", "style", "seed", "negative_prompt"]
ratios = ["1:1", "16:9", "9:16", "4:3", "3:4", "4:5", "5:4", "21:9"]
tiers = ["1K", "2K", "4K"]
output_formats = ["png", "jpeg", "webp"]
max_n = 10
price_usd = 0.01
embed = true
[models."provider/other"]
routes = ["openai/gpt-image-1"]
sizes = ["1024x1024"]
price_usd = 0.004
token_multiplier = 2.5
embed = true
[models."google/gemini-image"]
routes = ["test/test"]
sizes = ["64x64"]
max_n = 10
"""
"""Goes on in the packaged catalog's last table, which is that of aliases."""


@dataclass(frozen=True)
class Ran:
    """What a command came to, with status and headers of curl's last answer."""

    status: int
    headers: Mapping[str, str]
    output: str

    @property
    def body(self) -> Any:
        return json.loads(self.output)


class House:
    """Everything that runs, and the ways to talk to it.

    Attributes:
        here: The folder in which commands and programs of the pages are run.
    """

    def __init__(
        self, installation: Installation, *, here: Path, elsewhere: str, ledger: Path
    ) -> None:
        self.url, self.here = installation.said["url"], here
        self._folder, self._elsewhere = installation.folder, elsewhere
        self._ledger = ledger
        self._http = httpx.Client(base_url=self.url, timeout=60)

    def close(self) -> None:
        self._http.close()

    def ask(
        self, method: str, path: str, *, secret: str | None = SECRET, **options: Any
    ) -> httpx.Response:
        """Send one request, with a key unless `secret` is None."""
        headers = dict(options.pop("headers", {}))
        if secret is not None:
            headers["Authorization"] = f"Bearer {secret}"
        return self._http.request(method, path, headers=headers, **options)

    def knows(self, account: str, **grant: Any) -> str:
        """Make a key of all scopes; return its secret."""

        async def create() -> str:
            wanted = Grant(account=account, **{"scopes": frozenset(Scope)} | grant)
            async with Redis.from_url(f"unix://{self._folder}/valkey.sock") as redis:
                _, secret = await Accounts(redis, Limits()).create(wanted)
            return secret

        return asyncio.run(create())

    def calls(self) -> int:
        """Return how many calls the upstream has had."""
        return self._ledger.read_bytes().count(b'"received"')

    def stored(self, job_id: str) -> list[str]:
        """Return the names of the files that the image store has of a job."""
        folder = self._folder / "images" / "jobs" / job_id
        return [name for *_, names in os.walk(folder) for name in names]

    def has_logged(self, words: str) -> bool:
        """Say whether any process has written the words to its log."""
        logs = (self._folder / "logs").iterdir()
        return any(words in log.read_text(encoding="utf-8") for log in logs)

    def at_home(self, text: str) -> str:
        """Replace hosts, keys and paths of files by ours."""
        for host in _HOSTS:
            text = text.replace(host, self.url)
        for key in _KEYS:
            text = text.replace(key, SECRET)
        return text.replace(_ELSEWHERE, self._elsewhere).replace(
            _YOURS, f"{self.here}/"
        )

    def shell(self, command: str) -> Ran:
        """Run a command by a shell, as the page's reader would."""
        for name in ("curl", "jq"):
            tool(name)
        heads = self.here / "heads.txt"
        # From this curl learns where to note what it was answered; no request changes.
        (self.here / ".curlrc").write_text(f'silent\ndump-header = "{heads}"\n')
        output = self._run(tool("bash"), "-o", "pipefail", "-c", self.at_home(command))
        head = heads.read_bytes().rstrip().split(b"\r\n\r\n")[-1]
        line, _, rest = head.partition(b"\r\n")
        headers = http.client.parse_headers(io.BytesIO(rest + b"\r\n\r\n"))
        return Ran(int(line.split()[1]), headers, output)

    def script(self, program: str, name: str, code: str) -> str:
        """Run a program of a page, under that name; return what it prints."""
        (self.here / name).write_text(self.at_home(code))
        return self._run(program, name)

    def _run(self, *command: str) -> str:
        ran = subprocess.run(
            command,
            cwd=self.here,
            env={
                "PATH": os.environ["PATH"],
                "CURL_HOME": str(self.here),
                "ROUTMY_API_KEY": SECRET,
                "MULTIROUTE_API_KEY": SECRET,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@contextmanager
def moved_in(folder: Path) -> Iterator[House]:
    """Start everything in `folder`, and end it."""
    ledger, here = folder / "ledger.jsonl", folder / "here"
    ledger.touch()
    here.mkdir()
    _furnish(here)
    with ExitStack() as stack:
        base_url = stack.enter_context(_upstream(ledger))
        elsewhere = stack.enter_context(_files(here))
        packaged = PACKAGED_CATALOG.read_text(encoding="utf-8")
        catalog = packaged.replace("https://api.openai.com/v1", base_url) + _CATALOG
        (folder / "catalog.toml").write_text(catalog, encoding="utf-8")
        installation = Installation(
            folder,
            OPENAI_API_KEY=UPSTREAM_KEY,
            DARKROOM_CATALOG_FILE=str(folder / "catalog.toml"),
            DARKROOM_BOOTSTRAP_KEY=SECRET,
            DARKROOM_OUTBOUND__ALLOWED_NETWORKS='["127.0.0.0/8"]',
            DARKROOM_OUTBOUND__ALLOW_HTTP="true",
            DARKROOM_WORKER__IMAGING_PROCESSES="1",
            DARKROOM_WORKER__RETRY_BASE_S="0.01",
        )
        stack.callback(installation.close)
        installation.up("--workers", "1")
        house = House(installation, here=here, elsewhere=elsewhere, ledger=ledger)
        stack.callback(house.close)
        yield house


def _furnish(here: Path) -> None:
    for name in (*_FILES, *_REFERENCES):
        stem, _, image_format = name.partition(".")
        data = draw(stem, width=64, height=64, image_format=image_format)
        (here / name).write_bytes(data)
    mask = Image.new("RGBA", (64, 64), "black")
    mask.paste((0, 0, 0, 0), (16, 16, 48, 48))
    mask.save(here / "mask.webp", "WEBP", lossless=True)


@contextmanager
def _upstream(ledger: Path) -> Iterator[str]:
    command = ("-m", "tests.fakes.openai_upstream", "--ledger", str(ledger))
    with subprocess.Popen(
        [sys.executable, *command], cwd=_ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@contextmanager
def _files(folder: Path) -> Iterator[str]:
    """Serve a folder, as example.com would; yield the base URL."""
    handler = functools.partial(_Silent, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Leave the test's output alone."""
