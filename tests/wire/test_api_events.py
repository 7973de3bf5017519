"""Events as followers hear them: in order, each once, wherever they come again."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from service.events import Caller, EventHub, Follower, Interest
from service.events.positions import START
from service.job_store import keys
from service.settings import Limits
from tests.fakes.door import SECRET, FrontDoor, front_door
from tests.fakes.listener import listening
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker

ALL = "/v1/events"
STREAM = keys.events("default")


def of(job: dict[str, Any]) -> str:
    return f"/v1/jobs/{job['id']}/events"


def named(frames: list[Any]) -> list[str]:
    return [frame.name for frame in frames]


@pytest.fixture
async def restless(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
) -> AsyncIterator[FrontDoor]:
    """A front door without patience, at which a key may follow two streams."""
    limits = Limits(streams=2, write_s=0.4)
    async with front_door(
        shared_valkey.url, tmp_path, heartbeat_s=0.1, limits=limits
    ) as door:
        yield door


async def test_a_job_is_told_from_how_it_stands_to_its_end(
    door: FrontDoor, redis: Redis
):
    job = await door.submit()

    async with listening(door.url, of(job)) as heard:
        [first] = await heard.next()
        async with FakeWorker(redis, door.images):
            frames = [first, *await heard.rest()]

    assert named(frames) == ["job.queued", "job.started", "job.succeeded"]
    assert heard.headers["Content-Type"] == "text/event-stream"
    assert heard.headers["x-job-id"] == job["id"]
    assert [frame.data["type"] for frame in frames] == named(frames)
    assert [frame.data["id"] for frame in frames] == [frame.id for frame in frames]
    assert [frame.data["progress"] for frame in frames] == [0, None, 1]
    now = (await door.get(f"/v1/jobs/{job['id']}")).body
    ended = frames[-1].data["job"]
    assert {**ended, "result": None} == {**now, "result": None}
    assert ended["result"]["data"][0]["sha256"] == now["result"]["data"][0]["sha256"]
    assert first.data["job"] == {**job, "created_at": now["created_at"]}


async def test_a_job_that_has_ended_is_told_in_one_event(
    door: FrontDoor, worker: FakeWorker
):
    job = await door.submit()
    await door.get(f"/v1/jobs/{job['id']}?wait=10")

    answer = await door.get(of(job))

    frames = answer.raw.decode().split("\n\n")
    assert [frame.split("\n")[0] for frame in frames[1:]] == [
        "event: job.succeeded",
        "",
    ]
    assert int(answer.headers["Content-Length"]) == len(answer.raw)


async def test_who_comes_again_hears_what_he_missed_and_nothing_twice(
    door: FrontDoor, redis: Redis
):
    job = await door.submit()
    async with listening(door.url, of(job)) as heard:
        [queued] = await heard.next()

    async with FakeWorker(redis, door.images):
        await door.get(f"/v1/jobs/{job['id']}?wait=10")
    async with listening(door.url, of(job), last_id=queued.id) as again:
        missed = await again.rest()
    async with listening(door.url, f"{of(job)}?after={missed[0].id}") as by_query:
        last = await by_query.rest()
    over = await door.get(of(job), Last_Event_ID=missed[-1].id)

    assert named(missed) == ["job.started", "job.succeeded"]
    assert named(last) == ["job.succeeded"]
    assert over.status == 204


async def test_an_account_hears_of_its_own_jobs_and_of_no_others(
    door: FrontDoor, redis: Redis
):
    _, other = await door.knows("other")
    types = f"{ALL}?types=job.queued,job.succeeded"
    async with (
        listening(door.url, ALL) as everything,
        listening(door.url, types) as some,
        listening(door.url, ALL, secret=other) as elsewhere,
    ):
        first, second = await door.submit(), await door.submit()
        async with FakeWorker(redis, door.images):
            told = await everything.next(6)
            chosen = await some.next(4)
        await door.post(
            "/v1/jobs", {"model": "test/test", "prompt": "a cat"}, secret=other
        )
        [theirs] = await elsewhere.next()

    assert {frame.data["job_id"] for frame in told} == {first["id"], second["id"]}
    assert [f.id for f in told] == sorted((f.id for f in told), key=_order)
    assert [f for f in told if f.name != "job.started"] == chosen
    assert "job" not in told[-1].data
    assert theirs.data["job_id"] not in {first["id"], second["id"]}


def _order(event_id: str) -> tuple[int, ...]:
    return tuple(map(int, event_id.split("-")))


async def test_a_stream_can_be_taken_up_before_its_first_event(door: FrontDoor):
    async with listening(door.url, ALL) as heard:
        async for frame in heard.frames():
            if frame.id:
                break
    await door.submit()

    async with listening(door.url, ALL, last_id=heard.last_id) as again:
        [missed] = await again.next()

    assert missed.name == "job.queued"


async def test_an_event_of_another_account_is_refused(door: FrontDoor):
    _, other = await door.knows("other")
    await door.post("/v1/jobs", {"model": "test/test", "prompt": "a"}, secret=other)
    await door.submit()
    async with listening(door.url, f"{ALL}?after=0-0", secret=other) as heard:
        [theirs] = await heard.next()

    refused = await door.get(ALL, Last_Event_ID=theirs.id)

    assert refused.code == "invalid_event_id"


async def test_who_was_away_too_long_is_told_how_things_stand(
    door: FrontDoor, redis: Redis
):
    job = await door.submit()
    async with listening(door.url, of(job)) as heard:
        [queued] = await heard.next()
    for _ in range(3):
        await door.submit()
    await redis.xtrim(STREAM, maxlen=2, approximate=False)

    async with (
        listening(door.url, of(job), last_id=queued.id) as of_job,
        listening(door.url, ALL, last_id=queued.id) as of_all,
    ):
        [snapshot], [missed] = await of_job.next(), await of_all.next()
        async with FakeWorker(redis, door.images):
            rest = await of_job.rest()

    assert (snapshot.name, snapshot.data["job"]["id"]) == ("snapshot", job["id"])
    assert named(rest) == ["job.started", "job.succeeded"]
    assert missed.name == "snapshot"
    assert "job" not in missed.data


async def test_who_knows_more_than_redis_does_is_told_how_things_stand(
    door: FrontDoor, redis: Redis
):
    async with listening(door.url, ALL) as heard:
        job = await door.submit()
        [lost] = await heard.next()
        await redis.delete(STREAM)  # a replica that was behind took over
        await redis.xadd(STREAM, {"job": "job_1", "state": "queued"}, id="1-0")
        await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        rest = await heard.rest()

    async with (
        listening(door.url, of(job), last_id=lost.id) as of_job,
        listening(door.url, ALL, last_id=lost.id) as of_all,
    ):
        [snapshot], [missed] = await of_job.next(), await of_all.next()
        another = await door.submit()
        [told] = await of_all.next()

    assert rest == []
    assert (snapshot.name, snapshot.data["job"]["id"]) == ("snapshot", job["id"])
    assert missed.name == "snapshot"
    assert told.data["job_id"] == another["id"]


async def test_a_quiet_accounts_events_are_forgotten_after_a_week(
    door: FrontDoor, redis: Redis
):
    await door.submit()
    [(now, _)] = await redis.xrange(STREAM)
    week_ms = 7 * 86_400_000
    forgotten = f"{int(now.split(b'-')[0]) - week_ms}-0"

    async with listening(door.url, ALL, last_id=forgotten) as heard:
        [missed] = await heard.next()

    assert missed.name == "snapshot"
    assert week_ms - 60_000 < await redis.pttl(STREAM) <= week_ms


async def test_somebody_elses_job_is_answered_like_an_unknown_one(door: FrontDoor):
    _, other = await door.knows("other")
    job = await door.submit()
    unknown = {"id": "job_" + "0" * 26}

    for path in (of(job), of(unknown), "/v1/jobs/x/events"):
        for again in ({}, {"Last_Event_ID": "0-0"}):
            named_so = {"X_Request_ID": "same", **again}
            refused = await door.get(path, secret=other, **named_so)
            usual = await door.get("/v1/jobs/x", secret=other, X_Request_ID="same")

            assert (refused.status, refused.raw) == (404, usual.raw)


async def test_a_job_is_followed_by_the_name_its_caller_gave_it(
    door: FrontDoor, worker: FakeWorker
):
    asked = {"model": "test/test", "prompt": "a fox"}
    job = (await door.call("PUT", "/v1/jobs/my-fox", json=asked)).body

    async with listening(door.url, "/v1/jobs/my-fox/events") as heard:
        last = (await heard.rest())[-1]

    assert (last.name, last.data["job_id"]) == ("job.succeeded", job["id"])


async def test_a_deleted_job_is_gone(door: FrontDoor, worker: FakeWorker):
    job = await door.submit()
    await door.get(f"/v1/jobs/{job['id']}?wait=10")
    await door.call("DELETE", f"/v1/jobs/{job['id']}")

    assert (await door.get(of(job))).status == 410


async def test_a_key_follows_so_many_streams_and_no_more(restless: FrontDoor):
    async def open_streams() -> bytes:
        return (await restless.get("/metrics")).raw

    async with listening(restless.url, ALL), listening(restless.url, ALL):
        refused = await restless.get(ALL)
        told = await open_streams()
        async with listening(restless.url, ALL, secret=await _another(restless)) as one:
            assert one.status == 200
    async with asyncio.timeout(5):
        while b"darkroom_event_streams 0.0" not in await open_streams():
            await asyncio.sleep(0.01)
    async with listening(restless.url, ALL) as again:
        assert again.status == 200

    assert (refused.status, refused.code) == (429, "too_many_streams")
    assert refused.headers["Retry-After"]
    assert b"darkroom_event_streams 2.0" in told


async def _another(door: FrontDoor) -> str:
    _, secret = await door.knows("default")
    return secret


async def test_a_quiet_stream_says_that_it_lives(restless: FrontDoor):
    async with listening(restless.url, ALL) as heard:
        frames = heard.frames()
        said = [await anext(frames) for _ in range(4)]

    assert 1000 <= int(said[0].retry) < 3000
    assert [frame.comment for frame in said[2:]] == ["still here"] * 2


async def test_an_event_whose_nudge_was_lost_is_told_within_a_second(
    door: FrontDoor, redis: Redis
):
    async with listening(door.url, ALL) as heard:
        await redis.xadd(STREAM, {"job": "job_1", "state": "queued"})
        async with asyncio.timeout(2):
            [event] = await heard.next()

    assert event.data["job_id"] == "job_1"


async def test_events_of_batches_and_progress_have_types_of_their_own(
    door: FrontDoor, redis: Redis
):
    running = {"job": "job_1", "state": "running", "batch": "batch_1"}
    written = (
        running,
        {**running, "progress": "0.25"},
        {"batch": "batch_1", "state": "completed"},
        {"endpoint": "ep_1", "state": "disabled"},
    )
    async with listening(door.url, ALL) as heard:
        for fields in written:
            await redis.xadd(STREAM, fields)
        await redis.publish(keys.CHANGES, "default")
        told = await heard.next(4)

    assert named(told) == [
        "job.started",
        "job.progress",
        "batch.completed",
        "endpoint.disabled",
    ]
    assert [frame.data["batch_id"] for frame in told] == ["batch_1"] * 3 + [None]
    assert told[1].data["progress"] == 0.25
    assert told[3].data["endpoint_id"] == "ep_1"


async def test_a_door_that_closes_ends_its_streams_at_once(
    door: FrontDoor, redis: Redis
):
    job = await door.submit()
    with capture_logs() as said:
        async with (
            listening(door.url, of(job)) as heard,
            listening(door.url, ALL) as other,
        ):
            await heard.next()
            await door.door.drain(hurry=asyncio.Event())
            async with asyncio.timeout(2):
                assert await heard.rest() == await other.rest() == []
        async with listening(door.url, of(job)) as late:
            assert named(await late.rest()) == ["job.queued"]

    ended = [line for line in said if line["event"] == "stream.ended"]
    assert [line["reason"] for line in ended] == ["draining"] * 3
    assert {line["account"] for line in ended} == {"default"}


async def test_a_revoked_key_hears_no_more(restless: FrontDoor):
    key, secret = await restless.knows("default")

    with capture_logs() as said:
        async with (
            listening(restless.url, ALL, secret=secret) as locked_out,
            listening(restless.url, ALL) as heard,
        ):
            await restless.accounts.revoke(key.id)
            async with asyncio.timeout(5):
                assert await locked_out.rest() == []
            await restless.submit()
            assert named(await heard.next()) == ["job.queued"]

    [ended] = [line for line in said if line.get("key_id") == key.id and "s" in line]
    assert (ended["event"], ended["reason"]) == ("stream.ended", "revoked")


async def test_nobody_follows_longer_than_he_may(redis: Redis):
    async def show(account: str, subject: str) -> dict[str, object]:
        raise AssertionError

    async def is_good(key_id: str) -> bool:
        return True

    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    times = {"heartbeat_s": 0.1, "write_s": 1, "longest_s": 0.2}
    async with EventHub(redis, show, is_good, **times) as hub:
        follower = Follower(
            Interest("ada"), at=START, is_chunked=True, caller=Caller("key_1", "req_1")
        )
        transport, _ = await loop.create_connection(lambda: follower, sock=ours)
        with hub.seat("key_1", most=1) as seat:
            seat.take(follower, transport, b"hello")
        theirs.setblocking(False)
        with theirs:
            got = b""
            async with asyncio.timeout(5):
                while more := await loop.sock_recv(theirs, 1024):
                    got += more

    assert got.startswith(b"5\r\nhello\r\n")
    assert got.endswith(b"\r\n0\r\n\r\n")
    assert follower.reason == "old"


async def test_head_tells_the_headers_and_follows_nothing(door: FrontDoor):
    answer = await door.call("HEAD", ALL)

    assert (answer.status, answer.raw) == (200, b"")
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert not door.door.front.hub.followers


async def test_two_doors_tell_the_same(
    door: FrontDoor, shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    async with (
        front_door(shared_valkey.url, tmp_path) as second,
        FakeWorker(redis, door.images),
        listening(door.url, ALL) as here,
        listening(second.url, ALL) as there,
    ):
        await door.submit()
        await second.submit()
        told = await here.next(6)
        assert await there.next(6) == told
        async with listening(second.url, ALL, last_id=told[1].id) as moved:
            assert await moved.next(4) == told[2:]


async def test_a_restart_of_valkey_loses_and_doubles_nothing(
    valkey: Valkey, tmp_path: Path
):
    async with front_door(valkey.url, tmp_path) as door:
        first = await door.submit()
        async with (
            listening(door.url, f"{ALL}?after=0-0") as heard,
            listening(door.url, of(first)) as of_first,
        ):
            before = await heard.next()
            valkey.kill()
            valkey.start()
            async with (
                Redis.from_url(valkey.url) as anew,
                FakeWorker(anew, door.images),
            ):
                ended = await of_first.rest()
                second = await door.submit()
                after = await heard.next(5)

    assert named(ended) == ["job.queued", "job.started", "job.succeeded"]
    assert [(f.data["job_id"], f.name) for f in [*before, *after]] == [
        (job["id"], f"job.{state}")
        for job in (first, second)
        for state in ("queued", "started", "succeeded")
    ]


async def followed_by_hand(door: FrontDoor) -> socket.socket:
    """Follow the account, and read nothing."""
    loop, sock = asyncio.get_running_loop(), socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await loop.sock_connect(sock, ("127.0.0.1", door.port))
    lines = (f"GET {ALL} HTTP/1.0", f"Authorization: Bearer {SECRET}", "", "")
    await loop.sock_sendall(sock, "\r\n".join(lines).encode())
    assert b" 200 " in await loop.sock_recv(sock, 64)
    return sock


async def written(redis: Redis, count: int) -> list[str]:
    """Write many events at once; return the jobs they are about."""
    jobs = [f"job_{number:0200}" for number in range(count)]
    async with redis.pipeline(transaction=False) as pipe:
        for job in jobs:
            pipe.xadd(STREAM, {"job": job, "state": "queued"})
        pipe.publish(keys.CHANGES, "default")
        await pipe.execute()
    return jobs


async def test_a_slow_reader_hears_everything_in_order(door: FrontDoor, redis: Redis):
    sock, loop = await followed_by_hand(door), asyncio.get_running_loop()
    async with listening(door.url, ALL) as quick:
        jobs = await written(redis, 4000)
        told = [event.data["job_id"] for event in await quick.next(len(jobs))]

        got = b""
        async with asyncio.timeout(20):
            while got.count(b"}\n\n") < len(jobs):
                got += await loop.sock_recv(sock, 1 << 20)
    sock.close()

    assert told == jobs
    about = [
        line.split(b'"job_id":"')[1] for line in got.splitlines() if b"job_id" in line
    ]
    assert [line.split(b'"')[0].decode() for line in about] == jobs


async def test_who_is_so_slow_that_events_are_lost_comes_again_to_a_snapshot(
    door: FrontDoor, redis: Redis
):
    sock, got = await followed_by_hand(door), b""
    await written(redis, 4000)
    async with asyncio.timeout(10):
        while not any(f.is_stuck for f in door.door.front.hub.followers):
            await asyncio.sleep(0.01)
    await redis.xtrim(STREAM, maxlen=2, approximate=False)

    with sock:
        while more := await asyncio.get_running_loop().sock_recv(sock, 1 << 20):
            got += more
    last_id = got.rpartition(b"\nid: ")[2].partition(b"\n")[0].decode()
    async with listening(door.url, ALL, last_id=last_id) as again:
        [missed] = await again.next()

    assert 0 < got.count(b"event: job.queued") < 4000
    assert got.endswith(b"}\n\n")
    assert missed.name == "snapshot"


async def test_an_event_that_cannot_be_read_harms_no_other(
    door: FrontDoor, redis: Redis
):
    async with listening(door.url, ALL) as heard:
        for fields in (
            {"x": b"\xff"},
            {"job": "job_1", "state": "new", "progress": "?"},
        ):
            await redis.xadd(STREAM, fields)
        job = await door.submit()
        told = await heard.next(3)

    assert named(told)[1:] == ["job.progress", "job.queued"]
    assert told[1].data["progress"] is None
    assert told[2].data["job_id"] == job["id"]


async def test_who_takes_nothing_is_cut_off(restless: FrontDoor, redis: Redis):
    with await followed_by_hand(restless) as sock:
        await written(redis, 4000)
        hub = restless.door.front.hub
        async with asyncio.timeout(5):
            while hub.followers:
                await asyncio.sleep(0.01)
        assert await is_reset(sock)


async def is_reset(sock: socket.socket) -> bool:
    """Read to the end, and say whether it was one that the other side wanted."""
    try:
        while await asyncio.get_running_loop().sock_recv(sock, 1 << 16):
            pass
    except ConnectionResetError:
        return True
    return False
