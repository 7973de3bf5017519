"""A batch brings home every image once, whatever the front door does meanwhile."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from service.cli.api import connected
from service.cli.batch.manifest import Entry, Manifest
from service.cli.batch.prompts import Line
from service.cli.batch.run import Plan, run_batch
from service.cli.failure import Failure
from service.cli.target import Target
from tests.fakes.front_door import KEY, FrontDoor

PLAN = Plan(fingerprint="f" * 64, fields={"model": "test/test"}, window=4)


def lines(*prompts: str) -> list[Line]:
    return [Line(number=n, prompt=prompt) for n, prompt in enumerate(prompts, start=1)]


@pytest.fixture
async def door() -> AsyncIterator[FrontDoor]:
    async with FrontDoor() as door:
        yield door


@pytest.fixture
def run(door: FrontDoor, tmp_path: Path) -> Callable[..., Any]:
    """Run a batch into one folder; what an earlier run finished is left out."""

    async def run(*given: Line, plan: Plan = PLAN, patience_s: float = 5) -> None:
        async with connected(
            Target(door.url, KEY), patience_s=patience_s, connections=plan.window
        ) as client:
            with Manifest.opened(tmp_path, {}) as manifest:
                left = [line for line in given if not manifest.is_done(line.number)]
                await run_batch(
                    client, left, plan=plan, manifest=manifest, on_entry=lambda _: None
                )

    return run


def entries(folder: Path) -> dict[int, Entry]:
    text = (folder / "manifest.jsonl").read_text()
    found = [Entry(**json.loads(line)) for line in text.splitlines()]
    assert len({entry.line for entry in found}) == len(found)
    return {entry.line: entry for entry in found}


def pictures(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.png"))


async def test_every_prompt_becomes_a_file_and_a_line(run, door, tmp_path: Path):
    await run(*lines("a fox", ' "ein" Fuchs 🦊 '))

    fuchs = entries(tmp_path)[2]
    [image] = fuchs.images
    data = (tmp_path / image["file"]).read_bytes()
    assert fuchs.prompt == ' "ein" Fuchs 🦊 '
    assert door.all()[1]["body"]["prompt"] == fuchs.prompt
    assert image["file"] == "00002-0.png"
    assert hashlib.sha256(data).hexdigest() == image["sha256"]
    assert (image["width"], image["height"]) == (8, 8)


async def test_the_key_stays_with_the_front_door(run, door):
    await run(*lines("a fox"))

    assert door.strangers == []


async def test_a_line_may_say_more_than_the_options(run, door):
    await run(Line(number=1, prompt="a fox", fields={"model": "own", "n": 1}))

    body = door.all()[0]["body"]
    assert (body["model"], body["n"], body["priority"]) == ("own", 1, "batch")


async def test_a_second_run_joins_the_jobs_of_one_that_was_stopped(
    run, door, tmp_path: Path
):
    door.released.clear()
    first = asyncio.create_task(run(*lines("a", "b", "c")))
    await door.until(jobs=3)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    door.released.set()

    await run(*lines("a", "b", "c"))

    assert len(door.jobs) == 3
    assert [entry.succeeded for entry in entries(tmp_path).values()] == [True] * 3


async def test_a_finished_batch_submits_nothing(run, door):
    await run(*lines("a", "b"))
    door.jobs.clear()

    await run(*lines("a", "b"))

    assert door.jobs == {}


async def test_no_more_jobs_are_open_than_the_window_holds(run, door):
    await run(*lines(*"abcdefghijkl"))

    assert len(door.jobs) == 12
    assert door.most_open <= PLAN.window


@pytest.mark.parametrize(
    "refusal",
    [
        (0, "hung_up", {}),
        (429, "rate_limited", {"Retry-After": "0"}),
        (500, "internal", {}),
        (503, "queue_unavailable", {"Retry-After": "0"}),
    ],
    ids=lambda refusal: refusal[1],
)
async def test_what_may_pass_later_is_sent_again_under_the_same_name(
    run, door, tmp_path: Path, refusal
):
    door.refusals.append(refusal)

    await run(*lines("a"))

    assert list(door.jobs) == [f"{PLAN.fingerprint}:1:1"]
    assert entries(tmp_path)[1].succeeded


async def test_a_line_that_is_refused_is_written_down_and_the_others_go_on(
    run, tmp_path: Path
):
    await run(*lines("a\x00b", "c"))

    bad, good = entries(tmp_path)[1], entries(tmp_path)[2]
    assert (bad.status, bad.job_id) == ("failed", None)
    assert bad.error == {"code": "invalid_text", "message": "no"}
    assert good.succeeded


async def test_a_bad_line_is_written_down_without_being_sent(run, door, tmp_path: Path):
    await run(Line(number=7, prompt="{", problem="it is not JSON"))

    assert door.jobs == {}
    assert entries(tmp_path)[7].error == {
        "code": "bad_line",
        "message": "it is not JSON",
    }


async def test_a_failed_job_is_made_anew_by_the_next_run(run, door, tmp_path: Path):
    door.failures["b"] = "content_policy"
    await run(*lines("a", "b"))
    assert (entries(tmp_path)[2].error or {})["code"] == "content_policy"
    door.failures.clear()

    await run(*lines("a", "b"))

    assert [name[-3:] for name in door.jobs] == ["1:1", "2:1", "2:2"]
    assert entries(tmp_path)[2].succeeded


async def test_bytes_with_another_hash_are_fetched_again(run, door, tmp_path: Path):
    door.spoiled = 1

    await run(*lines("a"))

    assert entries(tmp_path)[1].succeeded


async def test_an_expired_url_is_asked_for_again(run, door, tmp_path: Path):
    door.expired = 1

    await run(*lines("a"))

    assert entries(tmp_path)[1].succeeded


async def test_an_image_that_never_arrives_is_fetched_by_the_next_run(
    run, door, tmp_path: Path
):
    door.spoiled = 4
    await run(*lines("a"))
    assert (entries(tmp_path)[1].error or {})["code"] == "download_failed"
    assert pictures(tmp_path) == []

    await run(*lines("a"))

    assert len(door.jobs) == 1
    assert entries(tmp_path)[1].succeeded


async def test_an_option_that_fits_no_line_stops_the_batch_as_a_usage_error(run, door):
    plan = Plan(fingerprint="f", fields={"model": "unknown"}, window=2)

    with pytest.raises(Failure, match="unknown_model") as stopped:
        await run(*lines("a", "b"), plan=plan)

    assert stopped.value.exit_code == 2


async def test_a_field_of_a_line_s_own_stops_nothing(run, tmp_path: Path):
    await run(
        Line(number=1, prompt="a", fields={"model": "unknown"}), *lines("", "b")[1:]
    )

    assert (entries(tmp_path)[1].error or {})["code"] == "unknown_model"
    assert entries(tmp_path)[2].succeeded


async def test_a_key_that_does_not_work_stops_the_batch(run, door, tmp_path: Path):
    door.refusals.append((401, "key_revoked", {}))

    with pytest.raises(Failure, match="key_revoked"):
        await run(*lines("a"))

    assert entries(tmp_path) == {}


async def test_a_quota_for_this_month_is_not_waited_for(run, door):
    door.refusals.append((429, "quota_exceeded", {"Retry-After": "3600"}))

    with pytest.raises(Failure, match="says: no"):
        await run(*lines("a"), patience_s=10_000)


async def test_a_front_door_that_stays_away_is_not_waited_for_for_ever(run, door):
    door.refusals.extend([(0, "hung_up", {})] * 20)

    with pytest.raises(Failure, match="does not answer"):
        await run(*lines("a"), patience_s=0.5)
