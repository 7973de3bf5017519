"""The steps of batches beside those of jobs: front doors that feed them, and may die.

A feeder remembers what it was told, however long ago, and goes on with it at any time:
another may have taken its batch over meanwhile.
"""

import itertools
from dataclasses import dataclass, field

import hypothesis.strategies as st
import orjson
from hypothesis.stateful import Bundle, multiple, rule

from service.batches.scripting import source as source_of_batches
from service.job_store import keys
from tests.wire.job_store_steps import (
    FAR_MS,
    KEYS,
    MOST_OPEN,
    MOST_RUNNING,
    QUOTA,
    UNITS,
    WORDS,
    JobStoreSteps,
    Seen,
    Wish,
    ahead,
)

HOLD_MS, KEPT_MS = 15_000, 60_000
ENDED = ("completed", "failed", "expired", "cancelled")
TOLD_OF_BATCHES = " ".join(f"batch.{state}" for state in ENDED)


@dataclass
class SeenBatch:
    """What the model remembers of one batch."""

    account: str
    total: int
    state: str = "in_progress"
    jobs: dict[int, str] = field(default_factory=dict)
    unfit: set[int] = field(default_factory=set)

    def job_id(self, batch_id: str, line: int) -> str:
        return f"job_x{batch_id[-24:]}{line}"


@dataclass
class Feeding:
    """A batch in the hands of a front door, as that one knows it."""

    batch_id: str
    holder: str
    at: int
    room: int
    dealt: dict[int, bool] = field(default_factory=dict)
    """Lines that were dealt with since, and whether a job was made of each."""


class BatchSteps(JobStoreSteps):
    """Takes steps and checks their answers."""

    batches = Bundle("batches")
    jobs = JobStoreSteps.jobs
    feedings = Bundle("feedings")

    def __init__(self):
        super().__init__()
        self.seen_batches: dict[str, SeenBatch] = {}

    def run_batch(self, name: str, *args: object):
        self._world = None
        text = ahead(source_of_batches(name))
        return self.redis.register_script(text)([keys.QUEUE], args)

    @rule(
        target=batches,
        account=st.sampled_from(list(KEYS)),
        total=st.integers(1, 6),
        window=st.sampled_from([1, 2, 3]),
        life_ms=st.sampled_from([20_000, FAR_MS // 2]),
    )
    def begin_batch(self, account, total, window, life_ms):
        number = next(self.numbers)
        batch_id = f"batch_{number:026}"
        told = ["webhook", '{"url":"https://example.com"}', "notify", TOLD_OF_BATCHES]
        line = [batch_id, account, "native", life_ms, KEPT_MS, window, "", "", 1, 1000]
        line += ["account", account, *told]

        assert self.run_batch("begin", *line)[:2] == ["made", batch_id]
        for accept_until, opens in ((1, False), (FAR_MS, True), (FAR_MS, False)):
            line = [batch_id, "", total, total, accept_until, "bad", 0]
            assert bool(self.run_batch("open", *line)) == opens

        self.seen_batches[batch_id] = SeenBatch(account, total)
        return batch_id

    @rule(target=feedings)
    def take(self):
        feeding = self.taken()
        return multiple() if feeding is None else feeding

    def taken(self) -> Feeding | None:
        holder = f"door-{next(self.numbers)}"
        batch_id = self.run_batch("take", holder, HOLD_MS)
        if batch_id is None:
            return None
        at = int(self.redis.hget(keys.batch(batch_id), "cursor"))
        room = self.run_batch("advance", batch_id, holder, HOLD_MS, at, at)
        return Feeding(batch_id, holder, at, room)

    @rule(
        target=jobs,
        feeding=feedings,
        units=st.sampled_from([0, UNITS]),
        fit=st.sampled_from([True, True, False]),
    )
    def deal_with_a_line(self, feeding, units, fit):
        seen, line = (
            self.seen_batches[feeding.batch_id],
            feeding.at + len(feeding.dealt),
        )
        if line >= seen.total or len(feeding.dealt) >= feeding.room:
            return multiple()
        known = set(seen.jobs)
        code = self.submit_line(feeding.batch_id, line, units) if fit else "unfit"
        if code in {"made", "unfit"}:
            feeding.dealt[line] = fit
        return multiple(*(seen.jobs[number] for number in set(seen.jobs) - known))

    def submit_line(self, batch_id: str, number: int, units: int) -> str:
        seen = self.seen_batches[batch_id]
        account, job_id = seen.account, seen.job_id(batch_id, number)
        before = self.redis.hmget(keys.batch(batch_id), "state", "cursor")
        known = job_id in self.seen
        place = {"batch": f"{batch_id} {number}", "custom_id": "fox"}
        more = orjson.dumps({**place, "on_ambiguous": "hold"})
        line = [job_id, account, KEYS[account], "batch", 250, WORDS, "", FAR_MS, 0]
        line += [units, QUOTA, MOST_OPEN, MOST_RUNNING[account], "", "hash", "", ""]
        line += ["", "", more]

        now_ms, code, value, *_ = self.run("submit", 20, 1, 1, *line)

        dealt_with = int(before[1] or 0) > number
        if known or dealt_with:
            assert (code, value) == ("made", job_id)
        elif before[0] != "in_progress":
            assert code == "batch_over"
        elif code == "made":
            wish = Wish(account, "batch", False, units, 0, "", "", "", "", "hold")
            self.seen[job_id] = Seen(wish, now_ms)
            seen.jobs[number] = job_id
        return code

    @rule(feeding=feedings)
    def advance(self, feeding):
        self.advance_by(feeding)

    def advance_by(self, feeding: Feeding) -> None:
        seen, key = self.seen_batches[feeding.batch_id], keys.batch(feeding.batch_id)
        before = self.redis.hmget(key, "state", "feeder", "cursor")
        stop = feeding.at + len(feeding.dealt)
        line = [feeding.batch_id, feeding.holder, HOLD_MS, feeding.at, stop]
        unfit = [number for number, fit in feeding.dealt.items() if not fit]
        for number in unfit:
            line += [number, seen.job_id(feeding.batch_id, number), '{"code":"x"}']

        room = self.run_batch("advance", *line)

        if before == ["in_progress", feeding.holder, str(feeding.at)]:
            seen.unfit |= set(unfit) - set(seen.jobs)
            feeding.at, feeding.room, feeding.dealt = stop, room, {}
        else:
            assert room == -1

    @rule(
        feeding=feedings,
        wait_ms=st.sampled_from([0, 0, 1000]),
        obstacle=st.sampled_from(["", "delays", "crashes"]),
    )
    def release(self, feeding, wait_ms, obstacle):
        line = [feeding.batch_id, feeding.holder, wait_ms]
        self.run_batch("release", *line, obstacle if wait_ms else "")

    @rule(target=feedings, held=feedings)
    def another_goes_on(self, held):
        """Somebody is taken for dead, and finds later that he is not."""
        self.redis.zadd(keys.FEED, {held.batch_id: 1}, xx=True)
        feeding = self.taken()
        if feeding is None:
            return multiple()
        if feeding.room > 0 and feeding.at < self.seen_batches[feeding.batch_id].total:
            feeding.dealt[feeding.at] = False
            self.advance_by(feeding)
        return feeding

    @rule(feeding=feedings)
    def say_that_it_lives(self, feeding):
        key = keys.batch(feeding.batch_id)
        ours = self.redis.hmget(key, "state", "feeder")

        answer = self.run_batch("beat", feeding.batch_id, feeding.holder, HOLD_MS)

        assert answer == int(ours == ["in_progress", feeding.holder])

    @rule(batch_id=batches, account=st.sampled_from(list(KEYS)))
    def cancel_batch(self, batch_id, account):
        before = self.redis.hget(keys.batch(batch_id), "state")

        answer = self.run_batch("cancel", batch_id, account)

        if account != self.seen_batches[batch_id].account:
            assert answer == "unknown"
        elif before in {"in_progress", "expiring"}:
            assert answer == "canceled"
        else:
            called_off = before in {"cancelling", "cancelled"}
            assert answer == ("already" if called_off else "final")

    @rule(batch_id=batches)
    def call_off(self, batch_id):
        before = self.redis.hget(keys.batch(batch_id), "state")
        jobs = self.seen_batches[batch_id].jobs
        waiting = [
            job_id
            for job_id in jobs.values()
            if (stored := self.record(job_id)).get("state") == "queued"
            and "tasks" not in stored
        ]
        named = itertools.chain.from_iterable(jobs.items())

        over = self.run_batch("call_off", batch_id, KEPT_MS, *named)

        is_ending = before in {"cancelling", "expiring"}
        assert over == (len(waiting) if is_ending else 0)

    @rule()
    def end_due_batches(self):
        self.run_batch("due", 100)
