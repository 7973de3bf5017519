"""The invariants of the job store, held against every order of steps there is.

Hypothesis plays callers, workers that die, a clock and a Redis that goes silent, on
a real Valkey. After each step:

* every job that is not final has exactly one entry, and no other entry exists;
* an entry is clock-valued exactly when its job is leased or in backoff;
* a final state never changes, and has one row in the outbox if it was asked for;
* the fence only rises;
* units used and reserved add up to what was asked and delivered.
"""

import os
from collections import Counter
from dataclasses import dataclass, field

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)
from redis import Redis

from service.core.jobs import STEPS, JobState, new_job_id
from service.job_store import keys
from service.job_store.scripting import source
from tests.fakes.valkey import Valkey

LEASE_MS, DAY_MS = 15_000, 86_400_000
KEY, ACCOUNTS = "key_1", ["ada", "bob"]
LANES = [keys.QUEUE, f"{keys.QUEUE}:batch"] + [
    f"{keys.QUEUE}:suspects:{k}" for k in range(1, 6)
]
UNITS = 5_000
MOST_OPEN, QUOTA = 6, 4 * UNITS


@dataclass
class Seen:
    """What the model remembers of one job."""

    account: str
    notify: bool
    units: int
    state: JobState = JobState.QUEUED
    fence: int = 0
    delivered: bool = False


@dataclass
class Held:
    """A claim, as the worker that made it remembers it."""

    worker: str
    job_id: str
    fence: int
    answers: Counter[str] = field(default_factory=Counter)


class JobStoreMachine(RuleBasedStateMachine):
    """Steps in any order; see the module's docstring for what must hold."""

    jobs = Bundle("jobs")
    claims = Bundle("claims")

    @initialize()
    def empty(self) -> None:
        self.redis = Redis.from_url(SERVER.url, decode_responses=True)
        self.redis.flushall()
        self.seen: dict[str, Seen] = {}
        self.sequence = Counter[str]()

    def run(self, name: str, *args: object) -> list:
        """Run a step; the clock it sees is ours, ahead of Redis's by `skew`."""
        skew = int(self.redis.get("test:skew") or 0)
        moved = source(name).replace(
            "local now = time[1] * 1000 + math.floor(time[2] / 1000)",
            f"local now = time[1] * 1000 + math.floor(time[2] / 1000) + {skew}",
        )
        assert str(skew) in moved
        return self.redis.eval(moved, 1, keys.QUEUE, *args)

    @rule(
        target=jobs,
        account=st.sampled_from(ACCOUNTS),
        priority=st.sampled_from(["interactive", "normal", "batch"]),
        notify=st.booleans(),
        units=st.sampled_from([0, UNITS]),
        deadline_ms=st.sampled_from([0, 20_000]),
        name=st.sampled_from(["", "one", "two"]),
    )
    def submit(self, account, priority, notify, units, deadline_ms, name):
        job_id, far = new_job_id(), 2**52
        request = '{"prompt":"a fox"}'
        line = [job_id, account, KEY, priority, 250, request, "", far, deadline_ms]
        line += [units, QUOTA, MOST_OPEN, "", name, "hash", int(notify)]
        _, code, value = self.run("submit", 20, DAY_MS, DAY_MS, *line, "", "")
        open_jobs = self.unfinished()
        if code == "made":
            assert len(open_jobs) <= MOST_OPEN
            assert self.charged() + self.reserved() <= QUOTA
            self.seen[job_id] = Seen(account, notify, units)
            return job_id
        if code == "joined":
            assert value in self.seen
        elif code == "queue_full":
            assert len(open_jobs) == MOST_OPEN
        else:
            assert code == "quota"
            assert self.charged() + self.reserved() + units > QUOTA
        return multiple()

    @rule(job_id=jobs)
    def submit_again(self, job_id):
        if not self.record(job_id):
            return
        seen = self.seen[job_id]
        line = [job_id, seen.account, KEY, "normal", 250, "{}", "", 2**52, 0]
        line += [seen.units, "", 12, "", "", "hash", 0, "", ""]

        _, code, value = self.run("submit", 20, DAY_MS, DAY_MS, *line)

        assert (code, value) == ("made", job_id)

    @rule(
        target=claims,
        worker=st.sampled_from(["w1", "w2"]),
        want=st.integers(1, 4),
        again=st.booleans(),
    )
    def claim(self, worker, want, again):
        again = again and self.sequence[worker] > 0
        if not again:
            self.sequence[worker] += 1
        args = [
            worker,
            self.sequence[worker],
            want,
            LEASE_MS,
            LEASE_MS // 2,
            4,
            want,
            5,
            60_000,
        ]

        _, _, *jobs = self.run("claim", *args, 0, 0, 0, 0, 0)

        for job_id, fence, *_ in jobs:
            assert again or fence > self.seen[job_id].fence
        return multiple(*(Held(worker, job[0], int(job[1])) for job in jobs))

    @rule(held=claims)
    def renew(self, held):
        [answer] = self.run("renew", LEASE_MS, LEASE_MS // 2, held.job_id, held.fence)
        stored = self.record(held.job_id)
        if not stored or int(stored["fence"]) != held.fence:
            assert answer == 0
        elif stored["state"] == "running":
            assert answer == 1
            assert self.redis.zscore(keys.QUEUE, held.job_id) > 0

    @rule(
        held=claims, state=st.sampled_from(["succeeded", "failed"]), twice=st.booleans()
    )
    def commit(self, held, state, twice):
        before = self.record(held.job_id)
        delivered = int(state == "succeeded")
        line = [held.job_id, held.fence, state, "", "", "{}", delivered, 1, ""]

        answers = [self.run("commit", 60_000, *line)[0] for _ in range(1 + twice)]

        assert len(set(answers)) == 1
        mine = before and int(before["fence"]) == held.fence
        if mine and before["state"] == "running":
            assert answers[0] == 1
            self.seen[held.job_id].delivered = state == "succeeded"
        elif not mine:
            assert answers[0] == 0

    @rule(held=claims, wait_ms=st.sampled_from([-1, 0, 5_000]))
    def give_back(self, held, wait_ms):
        before = self.record(held.job_id)

        [answer] = self.run("requeue", held.job_id, held.fence, wait_ms, "{}")

        after = self.record(held.job_id)
        if before and before["state"] == "running" and answer == 1:
            assert after["state"] == "queued"
            counted = int(after.get("attempts", 0)) - int(before.get("attempts", 0))
            assert counted == (0 if wait_ms < 0 else 1)

    @rule(job_id=jobs, account=st.sampled_from(ACCOUNTS))
    def cancel(self, job_id, account):
        before = self.record(job_id)

        [answer] = self.run("cancel", account, 60_000, job_id)

        if not before or account != self.seen[job_id].account:
            assert answer == "unknown"
        elif before["state"] in {"queued", "running"}:
            assert answer == "canceled"
        else:
            canceled = before["state"] == "canceled"
            assert answer == ("already" if canceled else "final")

    @rule()
    def expire(self):
        self.run("expire", 100, 60_000)

    @rule(job_id=jobs)
    def forget(self, job_id):
        before = self.record(job_id)
        [answer] = self.run("forget", 1000, job_id)
        final = not before or before["state"] not in {"queued", "running"}
        assert answer == int(final)

    @rule(job_id=jobs)
    def lose_an_entry(self, job_id):
        """A stock arq worker throws an entry out; the sweep brings it back."""
        for lane in LANES:
            self.redis.zrem(lane, job_id)
        unfinished = job_id in self.unfinished()
        assert self.run("audit") == int(unfinished)

        healed = self.run("repair", job_id)

        assert healed == ([job_id] if unfinished else [])

    @rule(ms=st.sampled_from([1, 4_000, 16_000, 61_000]))
    def time_passes(self, ms):
        self.redis.incrby("test:skew", ms)

    @invariant()
    def every_unfinished_job_has_one_entry(self):
        entries = Counter(
            entry for lane in LANES for entry in self.redis.zrange(lane, 0, -1)
        )
        assert entries == Counter(self.unfinished())
        assert self.run("audit") == 0

    @invariant()
    def an_entry_is_clock_valued_exactly_when_leased_or_in_backoff(self):
        for job_id in self.unfinished():
            stored = self.record(job_id)
            score = self.redis.zscore(keys.QUEUE, job_id)
            on_clock = score is not None and score > 0
            lapsed = any(self.redis.zscore(lane, job_id) for lane in LANES[2:])
            if stored["state"] == "running":
                assert on_clock or lapsed
            else:
                assert on_clock == ("due_ms" in stored)

    @invariant()
    def final_is_final_and_steps_are_legal(self):
        for job_id, seen in self.seen.items():
            stored = self.record(job_id)
            if not stored:
                assert not STEPS[seen.state]
                continue
            state = JobState(stored["state"])
            if state is not seen.state:
                # A rule may take two steps (a lapsed lease is taken over, then parked).
                assert STEPS[seen.state]
            seen.state = state
            assert int(stored["fence"]) >= seen.fence
            seen.fence = int(stored["fence"])

    @invariant()
    def the_outbox_has_one_row_per_final_state_that_was_asked_for(self):
        rows = self.redis.zrange("darkroom:outbox", 0, -1)
        asked = [
            job_id
            for job_id, seen in self.seen.items()
            if seen.notify and seen.state.is_final and self.record(job_id)
        ]
        assert sorted(rows) == sorted(asked)

    @invariant()
    def no_unit_appears_or_disappears(self):
        open_units = sum(self.seen[job_id].units for job_id in self.unfinished())
        spent = sum(seen.units for seen in self.seen.values() if seen.delivered)
        assert self.reserved() == open_units
        assert self.charged() == spent
        assert int(self.redis.hget(keys.use(KEY), "open") or 0) == len(
            self.unfinished()
        )

    def record(self, job_id: str) -> dict[str, str]:
        return self.redis.hgetall(keys.job(job_id))

    def unfinished(self) -> list[str]:
        return [
            job_id
            for job_id in self.seen
            if self.redis.hget(keys.job(job_id), "state") in {"queued", "running"}
        ]

    def reserved(self) -> int:
        return int(self.redis.hget(keys.use(KEY), "reserved") or 0)

    def charged(self) -> int:
        use = self.redis.hgetall(keys.use(KEY))
        return sum(int(n) for name, n in use.items() if name.startswith("used:"))

    def teardown(self) -> None:
        self.redis.close()


SERVER = Valkey()
EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "200"))


class TestJobStoreModel(JobStoreMachine.TestCase):
    settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)

    @classmethod
    def setup_class(cls) -> None:
        SERVER.start()

    @classmethod
    def teardown_class(cls) -> None:
        SERVER.close()
