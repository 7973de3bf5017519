"""What those see who ask for a job again and again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from service.api.shown import ShownJobs
from service.core.jobs import Job, JobId
from service.image_store.local import LocalImageStore
from service.job_store.looking import Looked
from service.job_store.outcomes import attempt_json
from service.job_store.records import request_json
from service.views import JobViews
from tests.fakes.store_jobs import ATTEMPT, DONE, job

NEW = job()
QUEUED = {
    "state": b"queued",
    "account": b"ada",
    "key_id": b"key_1",
    "priority": b"normal",
    "fence": b"0",
    "created_ms": b"1763700000000",
    "request": request_json(NEW.request),
}
SUCCEEDED = {
    **QUEUED,
    "state": b"succeeded",
    "fence": b"1",
    "completed_ms": b"1763700001000",
    "attempt:1": attempt_json(ATTEMPT),
    "result": DONE.result_json(),
}


def looked(fields: dict[str, bytes]) -> Job:
    pairs = [part for name, value in fields.items() for part in (name.encode(), value)]
    return Looked(pairs, place=1).job(JobId(NEW.id))


class Clock:
    now = 1_763_700_002.25

    def time(self) -> float:
        return self.now

    def date(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shown(tmp_path: Path, clock: Clock) -> ShownJobs:
    images = LocalImageStore(
        tmp_path,
        base_url="http://here",
        secret=b"s" * 32,
        lifetime=timedelta(hours=1),
        clock=clock.date,
    )
    return ShownJobs(JobViews(images, base_url="http://here"), clock=clock.time)


def test_a_record_that_is_as_it_was_is_the_same_job():
    longest = {**QUEUED, "request": request_json(job().request) + b" " * 9000}

    assert looked(QUEUED) is looked(dict(QUEUED))
    assert looked({**QUEUED, "fence": b"1"}).fence == 1
    assert looked(longest) == looked(QUEUED)
    assert looked(longest) is not looked(longest)


def test_an_ephemeral_job_is_kept_nowhere(shown: ShownJobs):
    ephemeral = looked({**QUEUED, "shown": b"{}"})
    text = shown.text(ephemeral, position=1, eta_s=1)

    assert looked({**QUEUED, "shown": b"{}"}) is not ephemeral
    assert shown.text(ephemeral, position=1, eta_s=1) is not text


def test_a_job_that_stands_as_it_stood_is_written_once(shown: ShownJobs):
    first = shown.text(looked(QUEUED), position=3, eta_s=9)

    assert shown.text(looked(QUEUED), position=3, eta_s=9) is first
    assert orjson.loads(first)["queue"]["position"] == 3


@pytest.mark.parametrize(("position", "eta_s"), [(2, 9), (3, 8), (None, None)])
def test_whoever_comes_nearer_sees_it(
    shown: ShownJobs, position: int | None, eta_s: int | None
):
    shown.text(looked(QUEUED), position=3, eta_s=9)

    text = shown.text(looked(QUEUED), position=position, eta_s=eta_s)

    queue = orjson.loads(text)["queue"]
    assert (queue["position"], queue["eta_s"]) == (position, eta_s)


def test_a_step_of_the_job_is_seen(shown: ShownJobs):
    shown.text(looked(QUEUED), position=None, eta_s=None)

    text = shown.text(looked(SUCCEEDED), position=None, eta_s=None)

    assert orjson.loads(text)["status"] == "succeeded"


def test_urls_last_as_long_as_if_they_were_signed_for_each_who_asks(
    shown: ShownJobs, clock: Clock
):
    first = shown.text(looked(SUCCEEDED), position=None, eta_s=None)
    clock.now += 0.5
    same = shown.text(looked(SUCCEEDED), position=None, eta_s=None)
    clock.now += 0.5

    later = shown.text(looked(SUCCEEDED), position=None, eta_s=None)

    [one], [other] = (orjson.loads(text)["result"]["data"] for text in (first, later))
    assert same is first
    assert other["url_expires_at"] == one["url_expires_at"] + 1
