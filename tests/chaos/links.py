"""Signed links: read to the last second and not beyond, or not at all once changed.

The front door is in this process, so that links can be signed at any time of day: a
link that was made an hour ago for an hour is made now, by a clock that is behind.
"""

import asyncio
import contextlib
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from redis.asyncio import Redis
from yarl import URL

from service.image_store import ImageStore
from service.image_store.local import LocalImageStore
from service.image_store.secret import signing_secret
from service.job_store import keys
from tests.chaos.report import Report
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.pictures import draw
from tests.fakes.stands import S3Place, s3_stand
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker
from workers.sweep import Sweep

KEY = "jobs/job_0/1/0"
_LONGEST_S = 604_800
_LEFT_S = (-2.0, 2.0)
"""A link is fetched so long before its end; below 0: behind it."""
_REFUSED = frozenset({400, 403, 404})
"""By us. Some buckets have no better answer than 500 to what is no text at all."""
_GONE = frozenset({404, 410})
_ABREAST = 8
_PLAIN = b"0123456789abcdefABCDEF/?&=.-_"
"""What links are made of; anything else a parser turns away before we look."""
_DAY = timedelta(days=1)


@contextlib.asynccontextmanager
async def _door() -> AsyncIterator[FrontDoor]:
    with tempfile.TemporaryDirectory(prefix="links-") as folder:
        valkey = Valkey().start()
        try:
            async with front_door(valkey.url, Path(folder)) as door:
                yield door
        finally:
            valkey.close()


async def expiry(*, links: int, seed: int) -> Report:
    """Fetch links of random lifetimes about their ends: 200 before, 403 behind."""
    report = Report(f"links that expire, seed {seed}")
    dice, answers, wrong = random.Random(seed), Counter[int](), list[str]()
    async with _door() as door, aiohttp.ClientSession() as http:
        await door.images.put(
            KEY, draw("a fox", width=8, height=8), content_type="image/png"
        )
        for _ in range(links):
            url, expires_at = _about_to_end(door, dice)
            before = time.time()
            async with http.get(URL(url, encoded=True)) as answer:
                status = answer.status
            answers[status] += 1
            after, end = time.time(), expires_at.timestamp()
            if (after < end and status != 200) or (before >= end and status != 403):
                wrong.append(f"{status}, {end - before:.3f} s before the end")
    report.note(links=links, answers=dict(answers))
    report.expect_none("wrong", wrong)
    report.expect(
        that=min(answers[200], answers[403]) > links / 10,
        otherwise="links were fetched on one side of their ends only",
    )
    return report


def _about_to_end(door: FrontDoor, dice: random.Random) -> tuple[str, datetime]:
    """Sign a link at such a time that its life ends about now."""
    lifetime = timedelta(seconds=dice.randint(1, _LONGEST_S))
    left = timedelta(seconds=dice.uniform(*_LEFT_S))
    signer = LocalImageStore(
        door.settings.data_dir / "images",
        base_url=door.url,
        secret=signing_secret(door.settings.data_dir),
        lifetime=lifetime,
        clock=lambda: datetime.now(UTC) + left - lifetime,
    )
    return signer.signed_url(KEY)


async def changes(*, links: int, seed: int, place: S3Place | None = None) -> Report:
    """Change any one byte of a link, in so many ways; each must read nothing.

    Args:
        links: How many.
        seed: Decides where, and which bytes.
        place: Where the images are; None: local files, behind a front door.
    """
    where = "local files" if place is None else "a bucket"
    report = Report(f"changed links to {where}, seed {seed}")
    dice, data = random.Random(seed), draw("a fox", width=8, height=8)
    async with contextlib.AsyncExitStack() as stack:
        store: ImageStore
        if place is None:
            store = (await stack.enter_async_context(_door())).images
        else:
            store = (await stack.enter_async_context(s3_stand(place))).store
        await store.put(KEY, data, content_type="image/png")
        url = store.signed_url(KEY).url
        parts = urlsplit(url)
        target = url.removeprefix(f"{parts.scheme}://{parts.netloc}").encode()
        others = [_changed(target, dice) for _ in range(links)]
        if place is not None:
            others = [other for other in others if _asks(other) != _asks(target)]
        gate = asyncio.Semaphore(_ABREAST)

        async def look(other: bytes) -> tuple[int, bytes]:
            async with gate:
                return await _fetch(parts.port, other, parts.netloc.encode())

        answers = await asyncio.gather(*map(look, others))
        whole, body = await _fetch(parts.port, target, parts.netloc.encode())
    seen = Counter(status for status, _ in answers)
    report.note(links=len(others), answers=dict(sorted(seen.items())))
    report.expect(
        that=(whole, data in body) == (200, True), otherwise=f"unchanged, it is {whole}"
    )
    odd = [
        (other, status)
        for other, (status, body) in zip(others, answers, strict=True)
        if data in body or (status not in _REFUSED and (place is None or status < 400))
    ]
    report.expect_none("read_though_changed", odd)
    return report


def _changed(target: bytes, dice: random.Random) -> bytes:
    """Return the target with another byte in one place, one more, or one less.

    What is behind `#` is no part of a link, and `%2f` is `%2F`: neither is a change.
    """
    how: tuple[Callable[[int, bytes], bytes], ...] = (
        lambda at, byte: target[:at] + byte + target[at + 1 :],
        lambda at, byte: target[:at] + byte + target[at:],
        lambda at, _: target[:at] + target[at + 1 :],
    )
    while True:
        [change] = dice.choices(how, (8, 1, 1))
        at, any_byte = dice.randrange(1, len(target)), dice.randrange(256)
        byte = bytes([dice.choice([*_PLAIN, any_byte])])
        other = change(at, byte)
        is_escape = b"%" in target[max(0, at - 2) : at]
        is_same = is_escape and other.lower() == target.lower()
        if other.partition(b"#")[0] != target and not is_same:
            return other


def _asks(target: bytes) -> tuple[bytes, list[bytes]]:
    """Return what a target asks of a bucket, to which an empty parameter is none."""
    path, _, query = target.partition(b"?")
    return path, [part for part in query.split(b"&") if part]


async def _fetch(port: int | None, target: bytes, host: bytes) -> tuple[int, bytes]:
    """Return status and answer; 400 where nothing but hanging up was the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: " + host)
    writer.write(b"\r\nConnection: close\r\n\r\n")
    try:
        answer = await reader.read()
    finally:
        writer.close()
    return int(answer.split(b" ", 2)[1]) if answer else 400, answer


async def retention(*, jobs: int, seed: int, place: S3Place | None = None) -> Report:
    """Let the time of half of the jobs pass: their links and records are gone."""
    where = "local files" if place is None else "a bucket"
    report = Report(f"links behind retention, in {where}, seed {seed}")
    dice = random.Random(seed)
    async with contextlib.AsyncExitStack() as stack:
        door = await stack.enter_async_context(_door())
        redis = Redis.from_url(door.settings.redis_url)
        stack.push_async_callback(redis.aclose)
        store = door.images
        if place is not None:
            store = (await stack.enter_async_context(s3_stand(place))).store
        await stack.enter_async_context(FakeWorker(redis, store))
        made = [(await door.submit(n=2))["id"] for _ in range(jobs)]
        for job_id in made:
            await _final(door, job_id)
        links = {
            job_id: [store.signed_url(f"jobs/{job_id}/1/{i}").url for i in range(2)]
            for job_id in made
        }
        old = set(dice.sample(made, jobs // 2))
        await redis.zadd(keys.RETENTION, dict.fromkeys(old, 1))
        await Sweep(redis, store, retention=_DAY).forget_old()
        read = {i: await _statuses(links[i]) for i in made}
        told = {i: (await door.get(f"/v1/jobs/{i}")).status for i in made}
        left = {key.split("/")[1] for key in await store.list("jobs/")}
    report.note(jobs=jobs, past_their_time=len(old), images_of=len(left))
    report.expect_none("old_and_read", [i for i in old if not read[i] <= _GONE])
    report.expect_none("old_and_told", [i for i in old if told[i] != 410])
    report.expect_none("old_and_listed", old & left)
    young = set(made) - old
    report.expect_none("young_and_not_read", [i for i in young if read[i] != {200}])
    report.expect_none("young_and_not_told", [i for i in young if told[i] != 200])
    return report


async def _final(door: FrontDoor, job_id: str) -> None:
    answer = await door.get(f"/v1/jobs/{job_id}?wait=30")
    assert answer.body["status"] == "succeeded", answer.raw


async def _statuses(urls: list[str]) -> set[int]:
    async with aiohttp.ClientSession() as http:
        found = set()
        for url in urls:
            async with http.get(URL(url, encoded=True)) as answer:
                found.add(answer.status)
        return found
