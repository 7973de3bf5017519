"""Jobs that workers have died over, each in a process of its own."""

import asyncio
import os
import subprocess
import sys
from asyncio.subprocess import PIPE
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from service.core.jobs import Attempt, JobState, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.image_store.opening import open_image_store
from service.job_store.lease import Lease
from service.job_store.outcomes import Later, Outcome
from service.settings import load_settings
from tests.fakes.valkey import Valkey
from workers.alone import ALONE_AFTER, guarded
from workers.receipts import put_receipt

_CATALOG = """
[providers.test]
adapter = "test"
"""
_MODEL = """
[models."test/{name}"]
routes = ["test/{name}"]
sizes = ["64x64"]
"""


def suspect(model: str) -> Lease:
    request = GenerationRequest(
        model=f"test/{model}", prompt="a fox", width=64, height=64
    )
    return Lease(
        job_id=new_job_id(),
        fence=4,
        payload=orjson.dumps(request.to_record()),
        attempts=0,
        interruptions=ALONE_AFTER,
        priority=Priority.NORMAL,
        account="ada",
        taken_at=0,
    )


@pytest.fixture(autouse=True)
def environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_valkey: Valkey
) -> Path:
    """What a child of this process is started with; return where images go."""
    models = ("test", "fail", "poison", "slow-60")
    catalog = _CATALOG + "".join(_MODEL.format(name=name) for name in models)
    (tmp_path / "catalog.toml").write_text(catalog)
    monkeypatch.setenv("DARKROOM_CATALOG_FILE", str(tmp_path / "catalog.toml"))
    monkeypatch.setenv("DARKROOM_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DARKROOM_REDIS_URL", shared_valkey.url)
    monkeypatch.setenv("DARKROOM_TEST_POISON", "1")
    return tmp_path / "images"


@pytest.fixture
def worker() -> dict[str, Any]:
    """What the worker of such a child has to do with the job."""
    return {"worker": SimpleNamespace(images=open_image_store(load_settings()))}


async def test_a_job_with_bad_luck_is_made_apart(environment):
    innocent = suspect("test")

    done = await guarded({}, innocent)

    assert isinstance(done, Outcome)
    assert done.state is JobState.SUCCEEDED
    assert (environment / done.images[0].key).read_bytes().startswith(b"\x89PNG")
    assert (environment / f"jobs/{innocent.job_id}/4/receipt.json").exists()


async def test_a_failure_told_by_the_child_is_tried_again_as_any_other():
    later = await guarded({}, suspect("fail"))

    assert isinstance(later, Later)
    assert later.attempt.error_code == "provider_unavailable"


async def test_what_kills_the_process_it_has_to_itself_is_parked(worker):
    done = await guarded(worker, suspect("poison"))

    assert isinstance(done, Outcome)
    assert (done.state, done.error["code"]) == (JobState.FAILED, "poison")


async def test_what_was_bought_before_the_child_died_is_not_given_up(worker):
    lease = suspect("poison")
    bought = Outcome(
        state=JobState.SUCCEEDED,
        attempt=Attempt(
            provider="test",
            model="poison",
            started_at=datetime(2026, 11, 21, tzinfo=UTC),
        ),
    )
    await put_receipt(worker["worker"].images, lease, bought)

    done = await guarded(worker, lease)

    assert done == bought


async def test_a_child_ends_with_the_attempt_that_is_stopped():
    attempt = asyncio.create_task(guarded({}, suspect("slow-60")))
    while not children():
        await asyncio.sleep(0.01)

    attempt.cancel("fenced")

    with pytest.raises(asyncio.CancelledError, match="fenced"):
        await attempt
    assert children() == []


async def test_a_child_that_cannot_read_its_lease_has_not_begun():
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "workers.apart"), stdin=PIPE, stdout=PIPE
    )

    child.stdin.write(b'{"of": "a worker whose program is older"}\n')

    assert await child.stdout.read() == b""
    assert await child.wait() == 1
    child.stdin.close()


async def test_a_child_that_cannot_read_its_catalog_says_so(environment):
    (environment.parent / "catalog.toml").write_text("providers = 1")

    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "workers.apart"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )

    assert await child.stdout.read() == b""
    assert b"catalog.toml" in await child.stderr.read()
    assert await child.wait() == 2
    child.stdin.close()


def children() -> list[bytes]:
    """Return the processes of jobs that this one has started."""
    command = ["pgrep", "-f", "-P", str(os.getpid()), "workers.apart"]
    return subprocess.run(command, capture_output=True, check=False).stdout.split()
