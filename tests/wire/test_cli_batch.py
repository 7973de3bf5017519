"""A file becomes a batch, and the batch a folder, whoever is stopped meanwhile."""

import asyncio
import hashlib
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.cli.api import connected
from service.cli.batch.entries import Entry
from service.cli.batch.manifest import Manifest
from service.cli.batch.progress import PlainProgress
from service.cli.batch.run import Plan, run_batch
from service.cli.failure import Failure
from service.cli.target import Target
from service.core.jobs import StoredImage
from service.core.prompts import Line
from service.image_store.opening import open_image_store
from service.settings import Settings
from tests.fakes.door import SECRET, FrontDoor
from tests.fakes.front_process import FrontProcess, front_process
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker, failing

PLAN = Plan(fingerprint="f" * 64, fields={"model": "test/test"})

Run = Callable[..., Awaitable[dict[int, Entry]]]


def lines(*prompts: str) -> list[Line]:
    return [Line(number=n, prompt=prompt) for n, prompt in enumerate(prompts, start=2)]


def entries(folder: Path) -> dict[int, Entry]:
    text = (folder / "manifest.jsonl").read_text()
    found = [Entry.of(json.loads(line)) for line in text.splitlines()]
    assert len({entry.line for entry in found}) == len(found)
    return {entry.line: entry for entry in found}


async def brought(
    url: str, folder: Path, given: list[Line], plan: Plan = PLAN, key: str = SECRET
) -> dict[int, Entry]:
    """Run a batch into a folder; return what the manifest then says."""
    async with connected(Target(url, key), patience_s=60) as client:
        with Manifest.opened(folder, {}) as manifest:
            progress = PlainProgress()
            await run_batch(
                client, given, plan=plan, manifest=manifest, progress=progress
            )
    return entries(folder)


@pytest.fixture
def run(door: FrontDoor, worker: FakeWorker, tmp_path: Path) -> Run:
    async def run(*given: Line, plan: Plan = PLAN, key: str = SECRET):
        return await brought(door.url, tmp_path / "out", list(given), plan, key)

    return run


async def batches(door: FrontDoor) -> list[int]:
    """How many lines each batch of the account has, oldest first."""
    found = (await door.get("/v1/batches")).body["data"]
    return [batch["request_counts"]["total"] for batch in reversed(found)]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.02)


async def test_every_prompt_becomes_a_file_and_a_line(
    run: Run, door: FrontDoor, tmp_path: Path
):
    own = {"size": "256x256", "n": 2, "custom_id": "owl"}

    found = await run(
        *lines("a fox", ' "ein" Fuchs 🦊 '), Line(number=9, prompt="owl", fields=own)
    )

    fuchs = found[3]
    [image] = fuchs.images
    data = (tmp_path / "out" / image["file"]).read_bytes()
    [batch] = (await door.get("/v1/batches")).body["data"]
    job = (await door.get(f"/v1/jobs/{fuchs.job_id}")).body
    owl = (await door.get(f"/v1/jobs/{found[9].job_id}")).body["request"]
    assert fuchs.prompt == job["request"]["prompt"] == ' "ein" Fuchs 🦊 '
    assert job["batch_id"] == fuchs.batch == batch["id"]
    assert image["file"] == "00003-0.png"
    assert hashlib.sha256(data).hexdigest() == image["sha256"]
    assert (image["width"], image["height"]) == (8, 8)
    assert [image["file"] for image in found[9].images] == [
        "00009-0.png",
        "00009-1.png",
    ]
    assert (owl["size"], found[9].custom_id) == ("256x256", "owl")


async def test_a_finished_folder_makes_nothing_and_another_joins_it(
    run: Run, door: FrontDoor, worker: FakeWorker, tmp_path: Path
):
    await run(*lines("a", "b"))
    await run(*lines("a", "b"))

    elsewhere = await brought(door.url, tmp_path / "elsewhere", lines("a", "b"))

    assert await batches(door) == [2]
    assert len(worker.seen) == 2
    assert all(entry.succeeded for entry in elsewhere.values())


async def test_a_run_that_was_stopped_goes_on_where_it_was(
    run: Run, door: FrontDoor, worker: FakeWorker, tmp_path: Path
):
    let = worker.hold()
    given, folder = lines(*"abcdef"), tmp_path / "out"
    first = asyncio.create_task(run(*given))
    await until(lambda: len(worker.seen) == len(given))
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    let.set()

    found = await run(*given)

    assert await batches(door) == [6]
    assert len(worker.seen) == 6
    assert [entry.succeeded for entry in found.values()] == [True] * 6
    assert not list(folder.glob("*.part"))


async def test_a_kill_costs_nothing_that_was_entered(
    door: FrontDoor, worker: FakeWorker, tmp_path: Path
):
    prompts, folder = tmp_path / "prompts.txt", tmp_path / "out"
    prompts.write_text("\n".join(map(str, range(40))))
    manifest = folder / "manifest.jsonl"
    let = asyncio.Event()
    made = iter(range(40))

    async def half(lease):
        if next(made) >= 20:
            await let.wait()
        return await worker.make(lease, 1)

    worker.verdict = half
    killed = await submitted(door, prompts, folder)
    await until(
        lambda: manifest.exists() and len(manifest.read_bytes().splitlines()) == 20
    )
    killed.kill()
    await killed.wait()
    with manifest.open("ab") as file:
        file.write(b'{"line": 99, "pro')
    before = {path.name: path.stat().st_ino for path in folder.glob("*.png")}
    let.set()

    again = await submitted(door, prompts, folder)
    said, _ = await again.communicate()

    after = {path.name: path.stat().st_ino for path in folder.glob("*.png")}
    assert again.returncode == 0, said
    assert sorted(entries(folder)) == list(range(1, 41))
    assert before.items() <= after.items()
    assert len(after) == len(worker.seen) == 40


async def submitted(
    door: FrontDoor, prompts: Path, folder: Path
) -> asyncio.subprocess.Process:
    """Start the command itself."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from service.cli import main; main()"),
        *("batch", "submit", str(prompts), "--out", str(folder)),
        env={"DARKROOM_URL": door.url, "DARKROOM_API_KEY": SECRET},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_a_front_door_that_is_killed_makes_no_difference(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    async def opened(process: FrontProcess) -> str:
        port = (await process.event("door.opened"))["port"]
        tasks.append(asyncio.create_task(process.drop_log()))
        return str(port)

    tasks: list[asyncio.Task[None]] = []
    key = {"DARKROOM_BOOTSTRAP_KEY": SECRET}
    images = open_image_store(Settings(redis_url=shared_valkey.url, data_dir=tmp_path))
    async with FakeWorker(redis, images) as worker:
        let = worker.hold()
        async with front_process(shared_valkey.url, tmp_path, **key) as first:
            port = await opened(first)
            given = lines(*"abcdef")
            url = f"http://127.0.0.1:{port}"
            running = asyncio.create_task(brought(url, tmp_path / "out", given))
            await until(lambda: len(worker.seen) == 6)
            first.signal(signal.SIGKILL)
            await tasks[0]
        let.set()
        async with front_process(
            shared_valkey.url, tmp_path, DARKROOM_PORT=port, **key
        ) as second:
            await opened(second)
            found = await running
    await asyncio.gather(*tasks)
    await images.close()

    assert [entry.succeeded for entry in found.values()] == [True] * 6
    assert len(worker.seen) == 6


async def test_lines_that_fail_harm_no_other_and_are_made_anew_by_the_next_run(
    run: Run, door: FrontDoor, worker: FakeWorker
):
    async def moody(lease):
        verdict = failing("content_policy")
        is_bad = lease.request.prompt == "b"
        return await (verdict(lease) if is_bad else worker.succeed(lease))

    worker.verdict = moody
    given = [
        *lines("a", "b", "c\x00d"),
        Line(number=7, prompt="{", problem="it is not JSON"),
        Line(number=8, prompt="e", fields={"model": "unknown"}),
    ]
    first = await run(*given)
    worker.verdict = worker.succeed

    second = await run(*given)

    codes = {n: entry.error and entry.error["code"] for n, entry in first.items()}
    assert codes == {
        2: None,
        3: "content_policy",
        4: "invalid_text",
        7: "bad_line",
        8: "unknown_model",
    }
    assert {n for n, entry in second.items() if entry.succeeded} == {2, 3}
    assert second[3].job_id not in {None, first[3].job_id}
    assert await batches(door) == [4, 3]
    assert len(worker.seen) == 3


async def test_a_batch_that_was_called_off_is_made_by_the_next_run(
    run: Run, door: FrontDoor, worker: FakeWorker
):
    let = worker.hold()
    running = asyncio.create_task(run(*lines("a", "b")))
    await until(lambda: len(worker.seen) == 2)
    [batch] = (await door.get("/v1/batches")).body["data"]
    for lease in worker.seen[:1]:
        await door.post(f"/v1/jobs/{lease.job_id}/cancel")
    await door.post(f"/v1/batches/{batch['id']}/cancel")
    let.set()
    first = await running

    second = await run(*lines("a", "b"))

    assert sorted(entry.status for entry in first.values()) == ["canceled", "succeeded"]
    assert all(entry.succeeded for entry in second.values())
    assert await batches(door) == [2, 1]


async def test_what_is_gone_from_the_folder_is_fetched_again_and_not_made(
    run: Run, worker: FakeWorker, tmp_path: Path
):
    folder = tmp_path / "out"
    await run(*lines("a", "b", "c"))
    (folder / "00002-0.png").unlink()
    manifest = folder / "manifest.jsonl"
    manifest.write_bytes(b"".join(manifest.read_bytes().splitlines(True)[1:]))

    found = await run(*lines("a", "b", "c"))

    assert sorted(found) == [2, 3, 4]
    assert all((folder / entry.images[0]["file"]).is_file() for entry in found.values())
    assert len(worker.seen) == 3


async def test_an_image_that_never_arrives_is_fetched_by_the_next_run(
    run: Run, door: FrontDoor, worker: FakeWorker, tmp_path: Path
):
    kept: dict[str, bytes] = {}

    async def hide(image: StoredImage) -> None:
        kept[image.key] = await door.images.get(image.key)
        await door.images.delete(image.key)

    async def hidden(lease):
        outcome = await worker.make(lease, 1)
        await hide(outcome.images[0])
        return outcome

    worker.verdict = hidden
    first = await run(*lines("a"))
    for key, data in kept.items():
        await door.images.put(key, data, content_type="image/png")

    second = await run(*lines("a"))

    assert (first[2].error or {})["code"] == "download_failed"
    assert second[2].succeeded
    assert len(worker.seen) == 1


async def test_a_batch_that_nobody_knows_any_more_is_made_anew(
    run: Run, door: FrontDoor, redis: Redis, worker: FakeWorker, tmp_path: Path
):
    await run(*lines("a", "b"))
    (tmp_path / "out" / "00002-0.png").unlink()
    for key in await redis.keys("darkroom:batch*"):
        await redis.delete(key)
    for lease in worker.seen:
        await door.call("DELETE", f"/v1/jobs/{lease.job_id}")

    found = await run(*lines("a", "b"))

    assert all(entry.succeeded for entry in found.values())
    assert await batches(door) == [1]


async def test_an_option_that_fits_no_line_is_a_usage_error_and_not_written_down(
    run: Run, door: FrontDoor, tmp_path: Path
):
    plan = Plan(fingerprint="f", fields={"model": "unknown"})

    for _ in range(2):  # it is asked anew: the catalog may have changed
        with pytest.raises(Failure, match="unknown_model") as stopped:
            await run(*lines("a", "b"), plan=plan)

    assert stopped.value.exit_code == 2
    assert entries(tmp_path / "out") == {}
    assert await batches(door) == [2, 2]


async def test_a_key_that_does_not_work_stops_the_run(run: Run, tmp_path: Path):
    with pytest.raises(Failure, match="key"):
        await run(*lines("a"), key="sk_nobody")

    assert entries(tmp_path / "out") == {}
