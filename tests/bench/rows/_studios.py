"""Whoever has images made by the same upstream: ours as it is deployed, and LiteLLM."""

import http.client
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import orjson

from tests.bench.contenders._door import KEY
from tests.bench.cost import PROC
from tests.bench.figures import Skipped
from tests.bench.peers import OURS, theirs
from tests.bench.pngs import PICTURES, slug
from tests.bench.rows._doors import darkroom_process, load
from tests.bench.stand import process, valkey
from tests.chaos.program import reserved_port

LITELLM = ("LiteLLM, 1 worker", "LiteLLM, 2 workers")
_IMAGES = "/v1/images/generations"
_FIRST = 8
_MODEL = "gpt-image-1"
_PROVIDER = """
[providers."{slug}"]
adapter = "openai"
base_url = "{url}/{slug}/v1"
[models."{slug}"]
routes = ["{slug}/{model}"]
sizes = ["1024x1024"]
embed = true
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """What makes images, and all the processes that do it.

    Attributes:
        kept: Where the images are; None: nowhere.
    """

    port: int
    pids: tuple[int, ...]
    kept: Path | None = None

    def make(
        self, picture: str, *, seconds: float, callers: int, **wishes: str
    ) -> dict[str, float]:
        """Have so many callers ask for images, each for the next when it has one."""
        body = _body(picture, **wishes)
        seen = load(
            self.port, seconds, "images", body, callers=callers, watch=self.pids
        )
        self._tidy()
        return {
            "images/s": seen["answers/s"],
            "CPU ms per image": seen["CPU ms"],
            **{name: seen[name] for name in ("p50 ms", "p99 ms", "client busy")},
        }

    def warm_up(self) -> None:
        """Have every process make images that do not count: the first take long."""
        for picture in (*PICTURES,) * _FIRST:
            asked(self.port, "POST", _IMAGES, _body(picture))
        self._tidy()

    def _tidy(self) -> None:
        if self.kept is not None:
            shutil.rmtree(self.kept, ignore_errors=True)


class Answer(NamedTuple):
    status: int
    body: bytes


def asked(port: int, method: str, path: str, body: str | None = None) -> Answer:
    """Ask once, over a connection of its own, which any of the processes may take."""
    head = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, head if body else {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    finally:
        connection.close()


@contextmanager
def upstream() -> Iterator[str]:
    """Open the fake of OpenAI that all of them call; yield its origin."""
    if not PROC.exists():
        raise Skipped("what an image costs is read from /proc, which is not here")
    with process(OURS, "tests.bench.contenders.image_upstream") as running:
        yield f"http://127.0.0.1:{running.line()}"


@contextmanager
def darkroom_studio(url: str) -> Iterator[Studio]:
    """Open a front door, a worker and their Valkey; images lie in a folder."""
    with tempfile.TemporaryDirectory() as folder, valkey() as server:
        catalog, data = Path(folder, "catalog.toml"), Path(folder, "data")
        parts = (
            _PROVIDER.format(slug=slug(name), url=url, model=_MODEL)
            for name in PICTURES
        )
        catalog.write_text("".join(parts))
        settings = {
            "DARKROOM_CATALOG_FILE": str(catalog),
            "DARKROOM_DATA_DIR": str(data),
            "DARKROOM_REDIS_URL": server.url,
        }
        with (
            process(OURS, "workers", **settings) as worker,
            darkroom_process(server, **settings) as (door, port),
        ):
            worker.wait_until(lambda: "worker.started" in worker.said(), every_s=0.05)
            yield Studio(
                port=port,
                pids=(door.pid, worker.pid, server.pid),
                kept=data / "images",
            )


@contextmanager
def litellm_studio(url: str, *, workers: int) -> Iterator[Studio]:
    """Open LiteLLM's proxy as its documents would have it in production.

    Its table of prices is the packaged one, so that starting it asks nobody.
    """
    with tempfile.TemporaryDirectory() as folder, reserved_port() as port:
        config = Path(folder, "config.yaml")
        config.write_bytes(orjson.dumps(_litellm_config(url)))
        words = ("--config", str(config), "--host", "127.0.0.1", "--port", str(port))
        with process(
            theirs("litellm"),
            "litellm.proxy.proxy_cli",
            *words,
            *("--num_workers", str(workers), "--telemetry", "False"),
            LITELLM_LOG="ERROR",
            LITELLM_MODE="PRODUCTION",
            LITELLM_LOCAL_MODEL_COST_MAP="True",
        ) as proxy:
            proxy.wait_until(lambda: _is_ready(port), every_s=0.2)
            yield Studio(port=port, pids=(proxy.pid,))


def _litellm_config(url: str) -> dict[str, object]:
    """Return what JSON and YAML say alike."""
    return {
        "model_list": [
            {
                "model_name": slug(name),
                "litellm_params": {
                    "model": f"openai/{_MODEL}",
                    "api_base": f"{url}/{slug(name)}/v1",
                    "api_key": "sk-upstream",
                },
                "model_info": {"mode": "image_generation"},
            }
            for name in PICTURES
        ],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {
            "telemetry": False,
            "set_verbose": False,
            "json_logs": True,
            "request_timeout": 600,
        },
    }


def _is_ready(port: int) -> bool:
    try:
        return asked(port, "GET", "/health/readiness").status == HTTPStatus.OK
    except OSError:
        return False


def _body(picture: str, **wishes: str) -> str:
    fields = {
        "model": slug(picture),
        "prompt": "a red fox in the snow, " * 20,
        "size": "1024x1024",
        **wishes,
    }
    return orjson.dumps(fields).decode()
