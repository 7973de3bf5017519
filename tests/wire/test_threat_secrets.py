"""Secrets stay where they belong: planted in every place, looked for in every other.

Processes as an operator starts them, as talkative as they can be, next to a provider
that repeats what it is told, and with a store and a Redis that fail in the end.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp
import orjson
import pytest
from redis.asyncio import Redis

from service.accounts import Accounts, Grant, Scope
from service.settings import Limits
from tests.fakes import canaries
from tests.fakes.gossip import Gossip
from tests.fakes.receiver import Receiver
from tests.fakes.stands import S3Place
from tests.fakes.valkey import Valkey

CATALOG = """
[providers.gossip{status}]
adapter = "openai"
base_url = "{url}/v1"
api_key_env = "GOSSIP_API_KEY"

[models."gossip/{status}"]
routes = ["gossip{status}/one"]
features = ["generate"]
sizes = ["64x64"]
embed = true
"""
"""A provider for each of its answers: one that is wrong keeps no other waiting."""
SIGNED_WITH = "whsec_" + "Y2FuYXJ5" * 4
STATUSES = (200, 400, 401, 403, 429, 500, 503)
DARKROOM = Path(sys.executable).with_name("darkroom")


def planted(name: str) -> str:
    return canaries.watch(f"canary-{name}-{os.urandom(8).hex()}", name)


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """How images are kept: in a folder, or in a bucket that is no secret's place."""
    if request.param == "local":
        return {}
    place: S3Place = request.getfixturevalue("moto")
    return {
        "DARKROOM_STORAGE__KIND": "s3",
        "DARKROOM_STORAGE__ENDPOINT_URL": place.url,
        "DARKROOM_STORAGE__BUCKET": place.make_bucket(),
        "DARKROOM_STORAGE__ACCESS_KEY_ID": "anybody",
        "DARKROOM_STORAGE__SECRET_ACCESS_KEY": planted("s3-secret"),
    }


class Town:
    """A front door and a worker in processes of their own, and all they ever said."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._environment = folder, dict(environment)
        self._stack = contextlib.AsyncExitStack()
        self.redis_url = environment["DARKROOM_REDIS_URL"]
        self.bootstrap = environment["DARKROOM_BOOTSTRAP_KEY"]
        self.logged: list[bytes] = []
        self.answered: list[bytes] = []
        self.url = ""

    async def __aenter__(self) -> Self:
        self._http = await self._stack.enter_async_context(aiohttp.ClientSession())
        self._opened = asyncio.get_running_loop().create_future()
        await self._start("service")
        await self._start("workers")
        async with asyncio.timeout(60):
            self.url = f"http://127.0.0.1:{await self._opened}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self, module: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module),
            env=self._environment,
            cwd=self._folder,
            stderr=asyncio.subprocess.STDOUT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        listening = asyncio.create_task(self._listen(process.stdout))
        self._stack.push_async_callback(self._end, process, listening)

    async def _listen(self, to: asyncio.StreamReader) -> None:
        while line := await to.readline():
            self.logged.append(line)
            if b'"door.opened"' in line:
                self._opened.set_result(orjson.loads(line)["port"])

    async def _end(
        self, process: asyncio.subprocess.Process, listening: asyncio.Task[None]
    ) -> None:
        process.terminate()
        await process.wait()
        await listening

    async def command(self, *words: str) -> None:
        """Run a command of the operator's, and hear it out."""
        process = await asyncio.create_subprocess_exec(
            *(DARKROOM, *words),
            env=self._environment,
            cwd=self._folder,
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self.logged.extend(await process.communicate())

    async def call(
        self, method: str, path: str, secret: str | None = None, **options: Any
    ) -> Any:
        """Return what is answered; all of it is noted."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        async with self._http.request(
            method, self.url + path, headers=headers, **options
        ) as response:
            raw = await response.read()
        self.answered += [raw, repr(response.headers).encode()]
        is_json = response.content_type == "application/json"
        return await response.json() if is_json else raw


@contextlib.asynccontextmanager
async def town(
    valkey: Valkey, folder: Path, gossip: Gossip, storage: Mapping[str, str]
) -> AsyncIterator[Town]:
    password = planted("redis-password")
    client = Redis.from_url(valkey.url)
    await client.config_set("requirepass", password)
    await client.aclose()
    parts = (CATALOG.format(status=status, url=gossip.url) for status in STATUSES)
    (folder / "catalog.toml").write_text("".join(parts))
    key = canaries.watch(os.urandom(16).hex(), "signing-key")
    (folder / "signing.key").write_text(key)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "DARKROOM_REDIS_URL": valkey.url.replace("unix://", f"unix://:{password}@"),
        "DARKROOM_DATA_DIR": str(folder),
        "DARKROOM_CATALOG_FILE": str(folder / "catalog.toml"),
        "DARKROOM_PORT": "0",
        "DARKROOM_UNSAFE": "true",
        "DARKROOM_LOG_LEVEL": "debug",
        "DARKROOM_BOOTSTRAP_KEY": planted("bootstrap-key"),
        "GOSSIP_API_KEY": planted("provider-key"),
        "DARKROOM_WORKER__MAX_ATTEMPTS": "2",
        "DARKROOM_WORKER__RETRY_BASE_S": "0",
        "DARKROOM_OUTBOUND__ALLOWED_NETWORKS": '["127.0.0.0/8"]',
        "DARKROOM_OUTBOUND__ALLOW_HTTP": "true",
        **storage,
    }
    async with Town(folder, environment) as running:
        yield running


@contextlib.asynccontextmanager
async def accounts_of(running: Town) -> AsyncIterator[Accounts]:
    client = Redis.from_url(running.redis_url)
    yield Accounts(client, Limits())
    await client.aclose()


async def draw(running: Town, status: int, tenant: str) -> None:
    """Ask for an image in both ways, and for how the job went in two."""
    key = running.bootstrap
    prompt = f"{status} {planted('prompt')}"
    fields = {"model": f"gossip/{status}", "prompt": prompt}
    await running.call("POST", "/v1/images/generations", key, json=fields)
    job = await running.call("POST", "/v1/jobs", tenant, json=fields)
    await running.call("GET", f"/v1/jobs/{job['id']}?wait=10", tenant)
    await running.call("GET", f"/v1/jobs/{job['id']}?key={key}", tenant)


async def live_through_everything(running: Town, receiver: Receiver) -> None:
    """Use each secret rightly and wrongly, and let all go wrong that may."""
    key = running.bootstrap
    async with accounts_of(running) as accounts:
        _, tenant = await accounts.create(Grant(account="ada"))
        _, embed = await accounts.create(
            Grant(account="ada", scopes=frozenset({Scope.EMBED}))
        )
        revoked, gone = await accounts.create(Grant(account="ada"))
        await accounts.revoke(revoked.id)
    for name, secret in {"tenant": tenant, "embed": embed, "revoked": gone}.items():
        canaries.watch(secret, f"{name}-key")
    guess = planted("guess")
    hook = {"url": receiver.url, "secret": receiver.secrets[0]}
    await running.call("POST", "/v1/endpoints", key, json={**hook, "url": "x"})
    await running.call("POST", "/v1/endpoints", key, json=hook)
    del running.answered[-2:]  # the one answer that may show it
    await asyncio.gather(*(draw(running, status, tenant) for status in STATUSES))
    path = "/embed/image:gossip/200?prompt=200+x"
    for secret in (embed, tenant, gone, guess):
        await running.call("GET", f"{path}&key={secret}")
        await running.call("GET", "/v1/jobs", secret)
        await running.call("GET", f"/v1/jobs/{secret}", tenant)
        await running.call("GET", f"/{secret}?key={secret}")
    link = f"https://somebody:{planted('userinfo')}@127.0.0.1/x"
    fields = {"model": "gossip/200", "prompt": "200"}
    for more in ({"images": [link]}, {"webhook": {"url": link}}):
        await running.call("POST", "/v1/jobs", key, json={**fields, **more})
    await running.call("POST", "/v1/endpoints", key, json={"url": link})
    for path in ("/metrics", "/readyz", "/v1/endpoints", "/v1/deliveries", "/v1/usage"):
        await running.call("GET", path, key)
    await receiver.until(2)


async def test_no_secret_is_where_it_does_not_belong(
    valkey: Valkey, tmp_path: Path, storage: Mapping[str, str]
):
    canaries.watch(SIGNED_WITH, "webhook-secret")
    async with Gossip() as gossip, Receiver(SIGNED_WITH) as receiver:
        async with town(valkey, tmp_path, gossip, storage) as running:
            await live_through_everything(running, receiver)
            commands = (("config", "show"), ("doctor",))
            await asyncio.gather(*(running.command(*words) for words in commands))
            valkey.kill()
            await running.call("GET", "/v1/jobs", running.bootstrap)
        heard = [repr((h.headers, h.body)) for h in receiver.heard]

    assert canaries.leaks(b"".join(running.logged)) == []
    assert canaries.leaks(b"".join(running.answered)) == ["prompt"]
    assert canaries.leaks("".join(heard)) == ["prompt"]
    assert canaries.leaks_in(valkey.folder) == ["prompt", "webhook-secret"]
    assert len(running.logged) > len(STATUSES) * 4
    assert len(gossip.keys) == 1
