"""The native resource, from submission to deletion."""

import asyncio
import hashlib

from service.core.errors import JobDeleted
from tests.fakes.door import FrontDoor
from tests.fakes.worker import FakeWorker, failing, never


async def test_submission_is_accepted_before_anything_is_done(door: FrontDoor):
    answer = await door.post("/v1/jobs", {"model": "test/test", "prompt": "a fox"})

    job = answer.body
    link = f"{door.url}/v1/jobs/{job['id']}"
    assert answer.status == 202
    assert answer.headers["x-job-id"] == job["id"]
    assert answer.headers["Location"] == link
    assert job["status"] == "queued"
    assert job["request"]["prompt"] == "a fox"
    assert job["links"] == {
        "self": link,
        "events": f"{link}/events",
        "cancel": f"{link}/cancel",
    }


async def test_submitted_job_reads_back_the_same(door: FrontDoor):
    job = await door.submit("Grüße, 🦊", metadata={"line": "7"}, seed=5, n=2)

    read = (await door.get(f"/v1/jobs/{job['id']}")).body

    assert read["queue"].pop("position") == 1
    assert job["queue"].pop("position") is None
    assert abs(read.pop("created_at") - job.pop("created_at")) <= 1
    assert read == job


async def test_finished_job_names_its_images(door: FrontDoor, worker: FakeWorker):
    job = await door.submit(n=2)

    done = (await door.get(f"/v1/jobs/{job['id']}?wait=10")).body

    first, second = done["result"]["data"]
    image = await door.get(first["url"], secret=None)
    assert done["status"] == "succeeded"
    assert done["attempts"][0]["provider"] == "fake"
    assert first["sha256"] != second["sha256"]
    assert hashlib.sha256(image.raw).hexdigest() == first["sha256"]
    assert len(image.raw) == first["bytes"]
    assert first["url_expires_at"] > done["completed_at"]


async def test_failed_job_tells_what_failed(door: FrontDoor, worker: FakeWorker):
    worker.verdict = failing("content_policy")
    job = await door.submit()

    done = (await door.get(f"/v1/jobs/{job['id']}?wait=10")).body

    assert done["status"] == "failed"
    assert done["result"] is None
    assert done["error"]["code"] == "content_policy"
    assert done["attempts"][0]["error_code"] == "content_policy"


async def test_read_with_the_tag_it_was_given_is_answered_not_modified(door: FrontDoor):
    job = await door.submit()
    path = f"/v1/jobs/{job['id']}"
    tag = (await door.get(path)).headers["ETag"]

    again = await door.get(path, If_None_Match=tag)
    canceled = await door.post(f"{path}/cancel")
    changed = await door.get(path, If_None_Match=tag)

    assert (again.status, again.raw) == (304, b"")
    assert again.headers["ETag"] == tag
    assert canceled.status == 200
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


async def test_wait_ends_when_its_time_is_up(door: FrontDoor):
    job = await door.submit()
    began = asyncio.get_running_loop().time()

    answer = await door.get(f"/v1/jobs/{job['id']}?wait=1")

    assert answer.body["status"] == "queued"
    assert 1 <= asyncio.get_running_loop().time() - began < 2


async def test_wait_may_be_asked_for_by_preference(door: FrontDoor, worker: FakeWorker):
    job = await door.submit()

    answer = await door.get(f"/v1/jobs/{job['id']}", Prefer="wait=5")

    assert answer.body["status"] == "succeeded"
    assert answer.headers["Preference-Applied"] == "wait=5"


async def test_queued_jobs_tell_their_position(door: FrontDoor):
    jobs = [await door.submit(str(i)) for i in range(3)]

    reads = [(await door.get(f"/v1/jobs/{job['id']}")).body for job in jobs]

    assert [read["queue"]["position"] for read in reads] == [1, 2, 3]


async def test_list_pages_through_all_jobs_newest_first(door: FrontDoor):
    ids = [(await door.submit(str(i)))["id"] for i in range(5)]

    first = (await door.get("/v1/jobs?limit=3")).body
    second = (await door.get(f"/v1/jobs?limit=3&after={first['last_id']}")).body

    listed = [job["id"] for page in (first, second) for job in page["data"]]
    assert sorted(listed) == sorted(ids)
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert second["first_id"] == second["data"][0]["id"]


async def test_list_keeps_to_state_and_metadata(door: FrontDoor):
    wanted = await door.submit(metadata={"batch": "b1", "line": "1"})
    await door.submit(metadata={"batch": "b2"})
    canceled = await door.submit(metadata={"batch": "b1"})
    await door.post(f"/v1/jobs/{canceled['id']}/cancel")

    page = (await door.get("/v1/jobs?metadata.batch=b1&status=queued")).body

    assert [job["id"] for job in page["data"]] == [wanted["id"]]


async def test_canceled_job_is_final_at_once_and_twice_is_once(door: FrontDoor):
    job = await door.submit()

    first = await door.post(f"/v1/jobs/{job['id']}/cancel")
    second = await door.post(f"/v1/jobs/{job['id']}/cancel")

    assert first.body["status"] == "canceled"
    assert (second.status, second.raw) == (200, first.raw)


async def test_finished_job_cannot_be_canceled(door: FrontDoor, worker: FakeWorker):
    job = await door.submit()
    await door.get(f"/v1/jobs/{job['id']}?wait=10")

    answer = await door.post(f"/v1/jobs/{job['id']}/cancel")

    assert (answer.status, answer.code) == (409, "already_finished")
    assert answer.headers["x-job-id"] == job["id"]
    assert answer.headers["x-should-retry"] == "false"


async def test_deleted_job_is_gone_with_its_images(door: FrontDoor, worker: FakeWorker):
    job = await door.submit()
    path = f"/v1/jobs/{job['id']}"
    done = (await door.get(f"{path}?wait=10")).body

    deleted = await door.call("DELETE", path)

    image = await door.get(done["result"]["data"][0]["url"], secret=None)
    answers = [
        await door.get(path),
        await door.call("DELETE", path),
        await door.get(f"{path}/images/0"),
        await door.post(f"{path}/cancel"),
    ]
    assert (deleted.status, deleted.raw) == (204, b"")
    assert image.status == 404
    assert [(a.status, a.code) for a in answers] == [(410, JobDeleted.code)] * 4
    assert (await door.get("/v1/jobs")).body["data"] == []


async def test_running_job_is_canceled_when_deleted(
    door: FrontDoor, worker: FakeWorker
):
    worker.verdict = never
    job = await door.submit()
    path = f"/v1/jobs/{job['id']}"
    while (await door.get(path)).body["status"] != "running":
        await asyncio.sleep(0.01)

    deleted = await door.call("DELETE", path)

    assert deleted.status == 204
    assert (await door.get(path)).status == 410


async def test_another_accounts_job_looks_like_none_at_all(
    door: FrontDoor, worker: FakeWorker
):
    job = await door.submit()
    await door.get(f"/v1/jobs/{job['id']}?wait=10")
    _, stranger = await door.knows("stranger")
    unknown = "job_" + "0" * 26
    routes = [
        ("GET", ""),
        ("GET", "?wait=1"),
        ("GET", "/images/0"),
        ("POST", "/cancel"),
        ("DELETE", ""),
    ]

    for method, tail in routes:
        answers = [
            await door.call(
                method,
                f"/v1/jobs/{job_id}{tail}",
                secret=stranger,
                X_Request_ID="same",
            )
            for job_id in (job["id"], unknown, "nonsense", "%00", "x" * 5000)
        ]

        assert {a.status for a in answers} == {404}
        assert len({a.raw for a in answers}) == 1
        assert answers[0].code == "not_found"
    assert (await door.get("/v1/jobs", secret=stranger)).body["data"] == []
