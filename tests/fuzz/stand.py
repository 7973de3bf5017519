"""A front door and a worker as processes of their own, with jobs to ask about."""

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.program import Program, reserved_port
from tests.fakes.valkey import Valkey

ROOT = Path(__file__).parents[2]
SECRET = "sk_of-the-fuzzer"
HEADERS = {"Authorization": f"Bearer {SECRET}"}
START_WITHIN_S = 100

_CATALOG = """
[providers.test]
adapter = "test"
[models."test/test"]
routes = ["test/test"]
features = [
  "generate", "edit", "mask", "variation",
  "quality", "style", "background", "moderation", "seed", "negative_prompt",
]
sizes = ["48x48", "64x48"]
output_formats = ["png", "jpeg", "webp"]
max_n = 4
price_usd = 0.001
embed = true
[models."test/slow-*"]
routes = ["test/slow-*"]
sizes = ["48x48"]
[models."test/refuse"]
routes = ["test/refuse"]
sizes = ["48x48"]
[aliases]
"alias" = "test/test"
"provider/image-model-id" = "test/test"
"multiroute-image-latest" = "test/test"
"""


@dataclass(frozen=True, kw_only=True)
class Stand:
    """What runs.

    Attributes:
        base_url: Of the front door.
        jobs: Ids of jobs that are finished.
        files: Ids of files that were uploaded.
        endpoints: Ids of endpoints, which nobody serves.
        deliveries: Ids of deliveries to them.
        batches: Ids of batches that have ended, with a line that failed.
        log: What the front door said.
    """

    base_url: str
    jobs: list[str]
    files: list[str]
    endpoints: list[str]
    deliveries: list[str]
    batches: list[str]
    log: Path

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send a request; return the answer's JSON."""
        return httpx.post(f"{self.base_url}{path}", json=body, headers=HEADERS).json()

    def slow_batch(self) -> str:
        """Make a batch that takes its time; return its id."""
        with httpx.Client(base_url=self.base_url, headers=HEADERS) as client:
            return _lines(client, "test/slow-30")["id"]


@contextlib.contextmanager
def stand(*, jobs: int) -> Iterator[Stand]:
    """Start everything, make some jobs, and leave no process behind."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fuzz-")))
        (folder / "catalog.toml").write_text(_CATALOG)
        read_end, write_end = os.pipe()
        stack.callback(os.close, read_end)
        stack.callback(os.close, write_end)
        port = stack.enter_context(reserved_port())
        valkey = Valkey().start()
        stack.callback(valkey.close)
        environ = _environ(folder, valkey, port, read_end)
        for command in ("service", "workers"):
            program = Program(
                [command],
                environ=environ,
                log=folder / f"{command}.log",
                parent_fd=read_end,
            )
            stack.callback(program.kill)  # a snail is drawn for half a minute
            program.start()
        base_url = f"http://127.0.0.1:{port}"
        headers = {"Authorization": f"Bearer {SECRET}"}
        client = httpx.Client(
            base_url=base_url, headers=headers, timeout=START_WITHIN_S
        )
        with client:
            _wait(client)
            made = [_job(client, number) for number in range(jobs)]
            files = [_file(client, number) for number in range(jobs)]
            endpoints = [_endpoint(client) for _ in range(jobs)]
            deliveries = [_delivery(client, name) for name in endpoints]
            batches = [_batch(client) for _ in range(2)]
        yield Stand(
            base_url=base_url,
            jobs=made,
            files=files,
            endpoints=endpoints,
            deliveries=deliveries,
            batches=batches,
            log=folder / "service.log",
        )


def _environ(folder: Path, valkey: Valkey, port: int, parent_fd: int) -> dict[str, str]:
    ours = {n: v for n, v in os.environ.items() if not n.startswith("DARKROOM_")}
    return ours | {
        "PYTHONPATH": str(ROOT),
        "DARKROOM_REDIS_URL": valkey.url,
        "DARKROOM_DATA_DIR": str(folder / "data"),
        "DARKROOM_CATALOG_FILE": str(folder / "catalog.toml"),
        "DARKROOM_PORT": str(port),
        "DARKROOM_BOOTSTRAP_KEY": SECRET,
        "DARKROOM_PARENT_FD": str(parent_fd),
        "DARKROOM_LIMITS__BODY_S": "2",
        "DARKROOM_WEBHOOKS__ENDPOINTS": "100",
        "DARKROOM_WORKER__IMAGING_PROCESSES": "1",
    }


def _wait(client: httpx.Client) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/readyz").json()["status"] == "ready":
                return
        time.sleep(0.05)
    raise TimeoutError("the front door does not open")


def _job(client: httpx.Client, number: int) -> str:
    wanted = {"model": "test/test", "prompt": f"a fox {number}"}
    job = client.post("/v1/jobs", json=wanted).json()
    done = client.get(f"/v1/jobs/{job['id']}", params={"wait": 30}).json()
    assert done["status"] == "succeeded", done
    return done["id"]


def _file(client: httpx.Client, number: int) -> str:
    sent = {"file": (f"{number}.jsonl", b"{}\n")}
    answer = client.post("/v1/files", data={"purpose": "batch"}, files=sent)
    return answer.json()["id"]


def _endpoint(client: httpx.Client) -> str:
    wanted = {"url": "https://hooks.invalid/", "events": ["batch.failed"]}
    return client.post("/v1/endpoints", json=wanted).json()["id"]


def _delivery(client: httpx.Client, endpoint_id: str) -> str:
    return client.post(f"/v1/endpoints/{endpoint_id}/test").json()["id"]


def _batch(client: httpx.Client) -> str:
    """Make a batch of which one line fails, and wait for its end."""
    batch = _lines(client, "test/test", "test/refuse")
    path = f"/v1/batches/{batch['id']}"
    client.get(f"{path}/results", params={"follow": "true"}, timeout=START_WITHIN_S)
    assert client.get(path).json()["status"] == "completed"
    return batch["id"]


def _lines(client: httpx.Client, *models: str) -> dict[str, Any]:
    lines = (json.dumps({"model": name, "prompt": "a fox"}) for name in models)
    headers = {"Content-Type": "application/x-ndjson"}
    sent = client.post("/v1/batches", content="\n".join(lines), headers=headers)
    return sent.json()
