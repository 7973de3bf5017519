"""What the job store promises its callers; here on fakeredis.

`tests/wire/test_job_store.py` runs the same sentences on a real Valkey, which
decides.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from fakeredis import FakeAsyncRedis
from redis.asyncio import Redis

from service.accounts import Accounts
from service.core.errors import (
    AlreadyFinished,
    IdempotencyMismatch,
    JobDeleted,
    JobNotFound,
    QueueUnavailable,
    TooMuch,
)
from service.core.jobs import Attempt, JobState, StoredImage, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.job_store import JobStore, keys
from service.job_store.lease import Renewal
from service.job_store.leases import Leases
from service.job_store.outcomes import Aside, Outcome
from service.job_store.records import NewJob
from service.job_store.scripting import script
from service.settings import Limits

ATTEMPT = Attempt(provider="p", model="m", started_at=datetime.now(UTC), ms=7)
IMAGE = StoredImage(
    key="jobs/x/1/0",
    sha256="00" * 32,
    width=8,
    height=8,
    content_type="image/png",
    size_bytes=70,
)
DONE = Outcome(state=JobState.SUCCEEDED, attempt=ATTEMPT, images=(IMAGE,))
PROMPT = "a “fox” — ein Fuchs 🦊"


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    client = FakeAsyncRedis()
    yield client
    await client.aclose()


@pytest.fixture
async def store(redis: Redis) -> AsyncIterator[JobStore]:
    store = JobStore(redis, backlog=50)
    yield store
    await store.aclose()


@pytest.fixture
async def leases(redis: Redis) -> AsyncIterator[Leases]:
    leases = Leases(redis, worker="w", slots=100)
    yield leases
    await leases.aclose()


def job(**changes: object) -> NewJob:
    plain = NewJob(
        id=new_job_id(),
        account="ada",
        key_id="key_1",
        priority=Priority.NORMAL,
        request=GenerationRequest(model="test/test", prompt=PROMPT),
    )
    return replace(plain, **changes)


def charged(use: dict[bytes, bytes]) -> int:
    """Return what a key was charged in all months."""
    return sum(int(units) for name, units in use.items() if name.startswith(b"used:"))


async def finish(leases: Leases, outcome: Outcome) -> None:
    """Claim the one job that waits, and bring it to its end."""
    [lease] = (await leases.claim(1, held={})).leases
    assert await leases.commit(lease, outcome)


async def test_a_job_is_read_back_as_it_was_submitted(store):
    new = job(metadata={"shop": "münchen"})

    submitted = await store.submit(new)

    read = await store.get(submitted.job_id, account="ada")
    assert read.request == new.request
    assert read.state is JobState.QUEUED
    assert read.metadata == {"shop": "münchen"}
    assert await store.position(read) == 1


async def test_the_same_submission_twice_is_one_job(store):
    new = job()

    await store.submit(new)
    again = await store.submit(new)

    assert again.job_id == new.id
    assert len((await store.list_jobs("ada", limit=10)).jobs) == 1


async def test_equal_names_and_contents_join_the_first_job(store):
    first = job(idempotency_name="one", content_hash="h")

    made = await store.submit(first)
    joined = await store.submit(replace(first, id=new_job_id()))

    assert (joined.job_id, joined.joined) == (made.job_id, True)


async def test_two_hundred_parallel_equal_submissions_are_one_job(store):
    new = job(idempotency_name="one", content_hash="h")

    answers = await asyncio.gather(
        *(store.submit(replace(new, id=new_job_id())) for _ in range(200))
    )

    assert len({answer.job_id for answer in answers}) == 1
    assert sum(not answer.joined for answer in answers) == 1


async def test_a_name_used_for_other_content_is_refused(store):
    await store.submit(job(idempotency_name="one", content_hash="h"))

    with pytest.raises(IdempotencyMismatch):
        await store.submit(job(idempotency_name="one", content_hash="other"))


async def test_a_name_of_another_account_is_another_name(store):
    await store.submit(job(idempotency_name="one", content_hash="h"))

    theirs = await store.submit(
        job(account="bob", idempotency_name="one", content_hash="other")
    )

    assert not theirs.joined


async def test_a_key_has_no_more_unfinished_jobs_than_it_may(store, leases):
    for _ in range(3):
        await store.submit(job(most_queued=3))

    with pytest.raises(TooMuch, match="3 unfinished") as refused:
        await store.submit(job(most_queued=3))
    [lease] = (await leases.claim(1, held={})).leases
    await leases.commit(lease, DONE)
    await store.submit(job(most_queued=3))

    assert refused.value.code == "queue_full"


async def test_the_backlog_of_all_is_bounded(store):
    await asyncio.gather(*(store.submit(job(key_id=f"key_{i}")) for i in range(50)))

    with pytest.raises(QueueUnavailable):
        await store.submit(job(key_id="key_x"))


async def test_reserved_units_count_against_the_quota_until_they_come_back(store):
    new = job(units=6, quota=10)
    await store.submit(new)

    with pytest.raises(TooMuch) as refused:
        await store.submit(replace(new, id=new_job_id()))
    await store.cancel(new.id, account="ada")
    await store.submit(replace(new, id=new_job_id()))

    assert refused.value.code == "quota_exceeded"
    assert refused.value.retry_after <= timedelta(seconds=5)


async def test_units_are_charged_for_delivered_images_only(store, leases, redis):
    await store.submit(job(units=8, quota=10))
    [lease] = (await leases.claim(1, held={})).leases

    await leases.commit(lease, replace(DONE, asked=4))

    use = await redis.hgetall(keys.use("key_1"))
    assert charged(use) == 2
    assert use[b"reserved"] == b"0"


async def test_failed_jobs_cost_no_units(store, leases, redis):
    await store.submit(job(units=8, quota=10))
    [lease] = (await leases.claim(1, held={})).leases

    failed = Outcome(state=JobState.FAILED, attempt=ATTEMPT, error={"code": "x"})
    await leases.commit(lease, failed)

    assert charged(await redis.hgetall(keys.use("key_1"))) == 0


async def test_foreign_and_unknown_jobs_look_the_same(store):
    new = job()
    await store.submit(new)

    for job_id in (new.id, new_job_id(), "../etc", "x" * 5000):
        with pytest.raises(JobNotFound, match=r"^no such job$"):
            await store.get(job_id, account="bob")


async def test_a_deleted_job_is_gone_for_its_owner_and_unknown_to_others(store):
    new = job()
    await store.submit(new)
    await store.cancel(new.id, account="ada")

    await store.forget([new.id])

    with pytest.raises(JobDeleted):
        await store.get(new.id, account="ada")
    with pytest.raises(JobNotFound):
        await store.get(new.id, account="bob")
    assert (await store.list_jobs("ada", limit=10)).jobs == ()


async def test_unfinished_jobs_are_not_forgotten(store):
    new = job()
    await store.submit(new)

    await store.forget([new.id])

    assert (await store.get(new.id, account="ada")).state is JobState.QUEUED


async def test_canceling_twice_is_canceling_once(store):
    new = job()
    await store.submit(new)

    first = await store.cancel(new.id, account="ada")
    again = await store.cancel(new.id, account="ada")

    assert first == again
    assert first.state is JobState.CANCELED


async def test_a_finished_job_cannot_be_canceled(store, leases):
    new = job()
    await store.submit(new)
    [lease] = (await leases.claim(1, held={})).leases
    await leases.commit(lease, DONE)

    with pytest.raises(AlreadyFinished):
        await store.cancel(new.id, account="ada")


async def test_a_running_job_that_is_canceled_stays_so(store, leases):
    new = job()
    await store.submit(new)
    [lease] = (await leases.claim(1, held={})).leases

    await store.cancel(new.id, account="ada")
    renewal = await leases.renew([lease])
    kept = await leases.commit(lease, DONE)

    canceled = await store.get(new.id, account="ada")
    assert renewal == [Renewal.CANCELED]
    assert not kept
    assert canceled.state is JobState.CANCELED
    assert canceled.images == ()
    assert [attempt.ms for attempt in canceled.trail] == [7]


async def test_jobs_are_listed_newest_first_in_pages(store):
    ids = []
    for _ in range(5):
        ids.append((await store.submit(job())).job_id)
        await asyncio.sleep(0.002)  # the listing is by millisecond

    first = await store.list_jobs("ada", limit=2)
    second = await store.list_jobs("ada", limit=3, after=first.jobs[-1].id)

    assert [j.id for j in first.jobs + second.jobs] == ids[::-1]
    assert (first.more, second.more) == (True, False)


async def test_a_listing_finds_what_matches_behind_what_does_not(store):
    wanted = await store.submit(job(metadata={"a": "b"}))
    await asyncio.sleep(0.002)
    for _ in range(20):
        await store.submit(job())

    page = await store.list_jobs("ada", limit=2, matches=lambda j: "a" in j.metadata)

    assert [j.id for j in page.jobs] == [wanted.job_id]


async def test_a_job_that_must_start_soon_expires_unclaimed(store, leases):
    new = job(start_within=timedelta(milliseconds=1))
    await store.submit(new)
    await asyncio.sleep(0.01)

    claim = await leases.claim(1, held={})

    assert claim.leases == ()
    assert (await store.get(new.id, account="ada")).state is JobState.EXPIRED


async def test_interactive_jobs_start_before_the_batch_of_the_same_account(
    store, leases
):
    for _ in range(20):
        await store.submit(job(priority=Priority.BATCH))
    quick = job(priority=Priority.INTERACTIVE)
    await store.submit(quick)

    claim = await leases.claim(2, held={})

    assert quick.id in {lease.job_id for lease in claim.leases}


async def test_accounts_share_by_weight(store, leases):
    for _ in range(20):
        await store.submit(job(account="one", key_id="k1"))
        await store.submit(job(account="three", key_id="k3", weight=3))

    claim = await leases.claim(16, held={})

    heavy = sum(lease.account == "three" for lease in claim.leases)
    assert 11 <= heavy <= 13


async def test_a_canceled_backlog_gives_its_place_back(store, leases):
    backlog = [job() for _ in range(10)]
    for new in backlog:
        await store.submit(new)
    for new in backlog:
        await store.cancel(new.id, account="ada")
    mine = job()
    await store.submit(mine)
    for _ in range(5):
        await store.submit(job(account="bob"))

    claim = await leases.claim(2, held={})

    assert mine.id in {lease.job_id for lease in claim.leases}


async def test_a_lapsed_lease_that_nobody_took_over_is_renewed(store, redis):
    jobs = [job() for _ in range(3)]
    for new in jobs:
        await store.submit(new)
    brief = timedelta(milliseconds=30)
    frozen = Leases(redis, worker="frozen", slots=4, lease=brief)
    other = Leases(redis, worker="other", slots=4, lease=timedelta(seconds=15))
    held = (await frozen.claim(3, held={})).leases
    await asyncio.sleep(0.05)

    taken = (await other.claim(3, held={})).leases
    renewals = await frozen.renew(held)

    # Four slots have room for one suspect; the two left behind are still ours.
    assert len(taken) == 1
    assert sorted(renewals) == [Renewal.FENCED, Renewal.RENEWED, Renewal.RENEWED]
    lanes = [keys.QUEUE, *(f"{keys.QUEUE}:suspects:{k}" for k in range(1, 6))]
    assert sum([await redis.zcard(lane) for lane in lanes]) == 3
    await frozen.aclose()
    await other.aclose()


async def test_every_change_of_state_is_an_event(store, leases, redis):
    new = job()
    await store.submit(new)
    [lease] = (await leases.claim(1, held={})).leases
    await leases.commit(lease, DONE)

    events = await redis.xrange(keys.events("ada"))

    assert [fields[b"state"] for _, fields in events] == [
        b"queued",
        b"running",
        b"succeeded",
    ]


async def test_an_equal_request_joins_the_job_under_way(store, redis):
    first = await store.submit(job(cache_key="c0ffee", units=5, quota=5))

    second = await store.submit(job(cache_key="c0ffee", units=5, quota=5))

    assert (second.job_id, second.joined) == (first.job_id, True)
    assert await redis.hget(keys.use("key_1"), "reserved") == b"5"
    found = await store.cached("ada", "c0ffee")
    assert found is not None
    assert found.id == first.job_id


async def test_an_equal_request_joins_the_job_that_was_done_whole(store, leases):
    first = await store.submit(job(cache_key="c0ffee"))
    await finish(leases, DONE)

    second = await store.submit(job(cache_key="c0ffee"))

    assert (second.job_id, second.joined) == (first.job_id, True)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(state=JobState.FAILED, attempt=ATTEMPT, error={"code": "x"}),
        replace(DONE, error={"code": "partial_result"}, asked=2),
    ],
    ids=["failed", "partial"],
)
async def test_what_was_not_done_whole_answers_for_nobody(store, leases, outcome):
    first = await store.submit(job(cache_key="c0ffee"))
    await finish(leases, outcome)

    found = await store.cached("ada", "c0ffee")
    second = await store.submit(job(cache_key="c0ffee"))
    third = await store.submit(job(cache_key="c0ffee"))

    assert found is None
    assert not second.joined
    assert second.job_id != first.job_id
    assert (third.job_id, third.joined) == (second.job_id, True)


async def test_another_accounts_images_answer_for_nobody_else(store):
    await store.submit(job(cache_key="c0ffee"))

    theirs = await store.submit(job(account="bob", cache_key="c0ffee"))

    assert not theirs.joined


async def test_a_joined_submission_can_be_repeated_by_its_name(store, leases):
    first = await store.submit(job(cache_key="c0ffee"))
    named = job(cache_key="c0ffee", idempotency_name="one", content_hash="h")
    await store.submit(named)

    again = await store.submit(replace(named, id=new_job_id(), cache_key=None))

    assert (again.job_id, again.joined) == (first.job_id, True)


async def test_two_hundred_parallel_equal_requests_are_one_job(store):
    answers = await asyncio.gather(
        *(store.submit(job(cache_key="c0ffee")) for _ in range(200))
    )

    assert len({answer.job_id for answer in answers}) == 1
    assert sum(not answer.joined for answer in answers) == 1


async def test_a_key_runs_as_many_jobs_as_it_may_and_the_others_wait(store, leases):
    mine = [job(most_running=2) for _ in range(5)]
    for new in mine:
        await store.submit(new)
    theirs = await store.submit(job(account="bob", key_id="key_2"))

    first = (await leases.claim(10, held={})).leases
    again = (await leases.claim(10, held={})).leases
    await leases.commit(next(one for one in first if one.account == "ada"), DONE)
    then = (await leases.claim(10, held={})).leases

    ids = [new.id for new in mine]
    assert {lease.job_id for lease in first} == {*ids[:2], theirs.job_id}
    assert again == ()
    assert [lease.job_id for lease in then] == [ids[2]]
    assert then[0].fence == 1
    waiting = await store.get(ids[4], account="ada")
    assert waiting.attempts == 0
    assert await store.position(waiting) == 2


@pytest.mark.parametrize("way_out", ["retry", "release", "cancel"])
async def test_whoever_stops_running_lets_the_next_one_run(store, leases, way_out):
    first, second = job(most_running=1), job(most_running=1)
    await store.submit(first)
    await store.submit(second)
    [lease] = (await leases.claim(2, held={})).leases

    if way_out == "retry":
        await leases.retry(lease, ATTEMPT, wait=timedelta(hours=1))
    elif way_out == "release":
        await leases.release(lease)
    else:
        await store.cancel(first.id, account="ada")
    claimed = (await leases.claim(2, held={})).leases

    expected = first if way_out == "release" else second
    assert [lease.job_id for lease in claimed] == [expected.id]


async def test_a_waiting_job_can_be_canceled(store, leases, redis):
    jobs = [job(most_running=1) for _ in range(3)]
    for new in jobs:
        await store.submit(new)
    [lease] = (await leases.claim(3, held={})).leases

    await store.cancel(jobs[1].id, account="ada")
    await leases.commit(lease, DONE)
    claimed = (await leases.claim(3, held={})).leases

    assert [lease.job_id for lease in claimed] == [jobs[2].id]
    assert await redis.zcard(keys.waiting("key_1")) == 0


async def test_a_waiting_job_that_must_start_soon_expires(store, leases, redis):
    await store.submit(job(most_running=1))
    late = job(most_running=1, start_within=timedelta(milliseconds=20))
    await store.submit(late)
    await leases.claim(3, held={})
    await asyncio.sleep(0.03)

    await script(redis, "expire")([10, 1000])

    assert (await store.get(late.id, account="ada")).state is JobState.EXPIRED
    assert await redis.zcard(keys.waiting("key_1")) == 0


async def test_a_long_line_of_waiting_jobs_hides_nobody(store, redis):
    store = JobStore(redis)
    first = Leases(redis, worker="first", slots=4)
    for _ in range(300):
        await store.submit(job(most_running=1))
    other = job(key_id="key_2")  # of the same flow, so behind them all
    await store.submit(other)

    claim = await first.claim(2, held={})

    assert other.id in {lease.job_id for lease in claim.leases}
    assert await redis.zcard(keys.waiting("key_1")) == 299
    await first.aclose()
    await store.aclose()


async def test_what_waits_for_a_job_that_vanished_goes_on_by_itself(
    store, leases, redis
):
    jobs = [job(most_running=1) for _ in range(3)]
    for new in jobs:
        await store.submit(new)
    [lease] = (await leases.claim(3, held={})).leases
    await leases.commit(lease, DONE)
    await redis.delete(keys.job(jobs[1].id))  # it was next
    await leases.claim(3, held={})

    await script(redis, "audit")([])
    claimed = (await leases.claim(3, held={})).leases

    assert [lease.job_id for lease in claimed] == [jobs[2].id]


async def test_the_words_of_an_ephemeral_job_go_when_it_is_final(store, leases, redis):
    secret = GenerationRequest(
        model="test/test",
        prompt=PROMPT,
        negative_prompt=PROMPT,
        user=PROMPT,
        extra={"said": PROMPT},
        seed=7,
    )
    new = job(ephemeral=True, request=secret, cache_key="c0ffee")
    await store.submit(new)
    [lease] = (await leases.claim(1, held={})).leases
    revised = replace(IMAGE, revised_prompt=PROMPT)

    await leases.commit(lease, replace(DONE, images=(revised,)))

    done = await store.get(new.id, account="ada")
    assert lease.request == secret
    assert lease.ephemeral
    assert done.ephemeral
    assert (done.request.prompt, done.request.seed) == ("", 7)
    assert [image.key for image in done.images] == [IMAGE.key]
    record = await redis.hgetall(keys.job(new.id))
    assert "fox" not in str(record)
    assert await store.cached("ada", "c0ffee") is None


@pytest.mark.parametrize("end", ["cancel", "fail", "expire"])
async def test_the_words_go_whatever_the_end(store, leases, redis, end):
    within = timedelta(milliseconds=1) if end == "expire" else None
    new = job(ephemeral=True, start_within=within)
    await store.submit(new)
    if end == "cancel":
        await store.cancel(new.id, account="ada")
    elif end == "fail":
        failed = Outcome(state=JobState.FAILED, attempt=ATTEMPT, error={"code": "x"})
        await finish(leases, failed)
    else:
        await asyncio.sleep(0.01)
        await leases.claim(1, held={})

    ended = await store.get(new.id, account="ada")

    assert ended.state.is_final
    assert ended.request.prompt == ""
    assert await redis.zscore(keys.EPHEMERAL, new.id) > 0


async def test_a_purged_job_has_its_cost_but_no_images(store, leases, redis):
    new = job(ephemeral=True)
    await store.submit(new)
    await store.purge(new.id)
    usage = {"total_tokens": 5}
    await finish(
        leases, replace(DONE, cost_usd="0.04", cost_source="priced", usage=usage)
    )

    await store.purge(new.id)
    await store.purge(new.id)

    purged = await store.get(new.id, account="ada")
    assert (purged.state, purged.images) == (JobState.SUCCEEDED, ())
    assert (purged.cost_usd, purged.cost_source) == ("0.04", "priced")
    assert purged.usage == usage
    assert await redis.zcard(keys.EPHEMERAL) == 0


async def test_only_ephemeral_jobs_are_purged(store, leases):
    new = job()
    await store.submit(new)
    await finish(leases, DONE)

    await store.purge(new.id)

    assert (await store.get(new.id, account="ada")).images == (IMAGE,)


async def test_the_ledger_counts_each_job_on_the_day_it_was_submitted(
    store, leases, redis
):
    accounts = Accounts(redis, Limits())
    for _ in range(4):
        await store.submit(job(units=10))
    held = (await leases.claim(3, held={})).leases
    priced = replace(
        DONE, asked=2, cost_usd="0.0402", cost_source="priced", model="a/b"
    )
    await leases.commit(held[0], priced)
    await leases.commit(held[1], replace(DONE, cost_usd="0.5", cost_source="reported"))
    failed = Outcome(state=JobState.FAILED, attempt=ATTEMPT, error={"code": "x"})
    await leases.commit(held[2], failed)

    today = datetime.now(UTC).date()
    [day] = await accounts.usage("ada", today - timedelta(days=1), today)

    assert (day.key_id, day.day) == ("key_1", today)
    assert (day.jobs, day.succeeded, day.failed, day.canceled) == (4, 2, 1, 0)
    assert (day.images, day.units) == (2, 15)
    assert day.cost_micros == {"priced": 40_200, "reported": 500_000}
    assert await store.popular() == ["a/b"]


async def test_what_failed_attempts_cost_is_in_the_ledger_and_counted_once(
    store, leases, redis
):
    paid = replace(ATTEMPT, outcome="failed", cost_usd="0.03", cost_source="priced")
    failed = Outcome(state=JobState.FAILED, attempt=paid, error={"code": "x"})
    aside = Aside(attempt=replace(paid, cost_source="reported"))
    first, second = job(), job()
    await store.submit(first)
    [lease] = (await leases.claim(1, held={})).leases
    for _ in range(2):  # the first answer was lost on its way
        await leases.retry(lease, paid, wait=timedelta(0), aside=aside)
    [lease] = (await leases.claim(1, held={})).leases
    await leases.commit(lease, failed)
    await store.submit(second)
    [lease] = (await leases.claim(1, held={})).leases
    await store.cancel(second.id, account="ada")
    for _ in range(2):
        await leases.commit(lease, failed)

    today = datetime.now(UTC).date()
    [day] = await Accounts(redis, Limits()).usage("ada", today, today)
    read = await store.get(first.id, account="ada")

    assert day.cost_micros == {"priced": 90_000, "reported": 30_000}
    assert (read.spent, read.cost_usd) == ((Decimal("0.09"), "priced"), None)


async def test_the_models_that_drew_most_are_popular(store, leases):
    for name, images in {"a/rare": 1, "a/often": 3, "a/some": 2}.items():
        await store.submit(job())
        await finish(leases, replace(DONE, images=(IMAGE,) * images, model=name))

    popular = await store.popular(limit=2)

    assert popular == ["a/often", "a/some"]


async def test_what_is_counted_by_the_day_does_not_stay_for_ever(store, leases, redis):
    await store.submit(job())
    await finish(leases, replace(DONE, model="a/b"))

    [ledger] = await redis.keys("darkroom:usage:*")
    [popular] = await redis.keys("darkroom:popular:*")

    assert 399 * 86_400 < await redis.ttl(ledger) <= 400 * 86_400
    assert 34 * 86_400 < await redis.ttl(popular) <= 35 * 86_400


async def test_a_torn_record_among_the_waiting_stops_nobody(store, leases, redis):
    jobs = [job(most_running=1) for _ in range(3)]
    for new in jobs:
        await store.submit(new)
    [lease] = (await leases.claim(3, held={})).leases
    await redis.hset(keys.job(jobs[1].id), "tag", "torn")

    await leases.commit(lease, DONE)
    claimed = (await leases.claim(3, held={})).leases

    assert [lease.job_id for lease in claimed] == [jobs[2].id]
    assert await redis.zrange(keys.BROKEN, 0, -1) == [jobs[1].id.encode()]
    assert await script(redis, "audit")([]) == 0
    assert await redis.hget(keys.use("key_1"), "open") == b"1"
