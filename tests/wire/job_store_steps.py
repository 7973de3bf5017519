"""All steps a job can take, in any order, on a real Valkey, with a clock that is ours.

Callers, workers that die and a sweep are played by Hypothesis;
`test_job_store_model.py` says what must hold after each step. Ada's key may run as
many jobs as there are slots, Bob's only one. Jobs may have routes; one worker serves
all providers, the other only one of them, and it reads no records of version 2.
"""

import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
)
from redis import Redis

from service.core.jobs import JobState
from service.job_store import keys
from service.job_store.scripting import source
from tests.fakes.valkey import Valkey

SERVER = Valkey()
LEASE_MS, DAY_MS, FAR_MS = 15_000, 86_400_000, 2**52
KEYS = {"ada": "key_1", "bob": "key_2"}
MOST_RUNNING = {"ada": "", "bob": 1}
LANES = [keys.QUEUE, f"{keys.QUEUE}:batch"] + [
    f"{keys.QUEUE}:suspects:{k}" for k in range(1, 6)
]
WAITING = [keys.waiting(key_id) for key_id in KEYS.values()]
PROVIDERS = {"dear": 1, "cheap": 2}
"""Providers by how many calls at once they allow; the cheap one only 30 a minute, and
for no more than `MOST_IMAGES`."""
MOST_IMAGES = 3
ROUTES = ["dear/fox", "cheap/fox", "dear/owl", "dear/fox\ncheap/fox"]
CALLED = [keys.wait(f"routes:{routes}") for routes in ROUTES] + [
    keys.wait(f"tasks:{route}") for route in ("dear/fox", "cheap/fox", "dear/owl")
]
LATER = [keys.wait("version:2")]
HELD = [keys.wait(f"held:{key_id}") for key_id in KEYS.values()]
SERVED = {"w1": "dear cheap", "w2": "cheap"}
READS = {"w1": 2, "w2": 1}
UNITS, ASKED = 5_000, 2
MOST_OPEN, QUOTA = 6, 4 * UNITS
FAILED = '{"outcome":"failed"}'
WORDS, SHOWN = '{"prompt":"a fox"}', '{"prompt":""}'
MODEL, COST_MICROS = "test/test", 40_200
TOLD = "job.succeeded job.failed job.canceled job.expired"


@dataclass(frozen=True)
class Wish:
    """What a caller asks for."""

    account: str
    priority: str
    notify: bool
    units: int
    deadline_ms: int
    name: str
    cache: str
    shown: str
    routes: str
    on_ambiguous: str = ""
    images: int = 1
    version: int = 1


WISHES = st.builds(
    Wish,
    account=st.sampled_from(list(KEYS)),
    priority=st.sampled_from(["interactive", "normal", "batch"]),
    notify=st.booleans(),
    units=st.sampled_from([0, UNITS]),
    deadline_ms=st.sampled_from([0, 20_000]),
    name=st.sampled_from(["", "", "one", "two"]),
    cache=st.sampled_from(["", "c0ffee"]),
    shown=st.sampled_from(["", SHOWN]),
    routes=st.sampled_from(["", *ROUTES]),
    on_ambiguous=st.sampled_from(["", "hold"]),
    images=st.sampled_from([1, 1, 2, 4]),
    version=st.sampled_from([1, 1, 1, 2]),
)


@dataclass
class Seen:
    """What the model remembers of one job."""

    wish: Wish
    day_ms: int
    state: JobState = JobState.QUEUED
    fence: int = 0
    images: int = 0
    spent: int = 0
    purged: bool = False

    @property
    def charged(self) -> int:
        return self.wish.units * self.images // ASKED


@dataclass
class Held:
    """A claim, as the worker that made it remembers it."""

    worker: str
    job_id: str
    fence: int
    answers: Counter[str] = field(default_factory=Counter)


LOOK = """
local found = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
    local kind, value = redis.call('TYPE', key).ok, ''
    if kind == 'hash' then
        value = redis.call('HGETALL', key)
    elseif kind == 'zset' then
        value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    elseif kind == 'set' then
        value = redis.call('SMEMBERS', key)
    elseif kind == 'list' then
        value = redis.call('LRANGE', key, 0, -1)
    elseif kind == 'string' then
        value = redis.call('GET', key)
    end
    found[#found + 1] = {key, kind, value}
end
return found
"""
"""All that lies in Redis, in one answer: the model looks after every step."""


class World:
    """What lies in Redis, by the names of keys; what is not there is empty.

    Attributes:
        entries: Of the lanes of jobs, with their scores.
    """

    def __init__(self, found: list[tuple[str, str, Any]]) -> None:
        self._found = {key: value for key, _, value in found}
        self.entries = {
            lane: self.scores(lane) for lane in LANES + WAITING + CALLED + LATER + HELD
        }

    def hash(self, key: str) -> dict[str, str]:
        flat = self._found.get(key, [])
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def scores(self, key: str) -> dict[str, float]:
        return {name: float(score) for name, score in self.hash(key).items()}

    def items(self, key: str) -> list[str]:
        return self._found.get(key, [])

    def number(self, key: str) -> int:
        return int(self._found.get(key, 0))

    def named(self, prefix: str) -> list[str]:
        return [key for key in self._found if key.startswith(prefix)]


@cache
def ahead(text: str) -> str:
    """Return a script whose clock is ahead of Redis's by `test:skew`."""
    clock = "local now = time[1] * 1000 + math.floor(time[2] / 1000)"
    assert clock in text
    return text.replace(clock, f"{clock} + (call('GET', 'test:skew') or 0)")


class JobStoreSteps(RuleBasedStateMachine):
    """Takes steps and checks their answers."""

    jobs = Bundle("jobs")
    claims = Bundle("claims")

    @initialize(target=jobs, crowd=st.lists(WISHES, max_size=MOST_OPEN))
    def begin(self, crowd):
        self.redis = Redis.from_url(SERVER.url, decode_responses=True)
        self.redis.flushall()
        self.seen: dict[str, Seen] = {}
        self.sequence = Counter[str]()
        self.names: dict[tuple[str, str], str] = {}
        self.cached: dict[tuple[str, str], str] = {}
        self.numbers = itertools.count()
        self._world: World | None = None
        self.tell_gates()
        made = [self.submit(wish) for wish in crowd]
        return multiple(*(job_id for job_id in made if isinstance(job_id, str)))

    def run(self, name: str, *args: object) -> list:
        """Run a step; the clock it sees is ours, ahead of Redis's by `test:skew`."""
        self._world = None
        return self.redis.register_script(ahead(source(name)))([keys.QUEUE], args)

    @rule(target=jobs, wish=WISHES)
    def submit(self, wish):
        account = wish.account
        job_id, answering = f"job_{next(self.numbers):026}", self.answering(wish)
        line = [job_id, account, KEYS[account], wish.priority, 250, WORDS, "", FAR_MS]
        line += [wish.deadline_ms, wish.units, QUOTA, MOST_OPEN, MOST_RUNNING[account]]
        line += [wish.name, "hash", TOLD if wish.notify else "", wish.cache]
        line += [wish.shown, wish.routes]
        more = {"images": str(wish.images)} if wish.images > 1 else {}
        more |= {"on_ambiguous": wish.on_ambiguous} if wish.on_ambiguous else {}
        more |= {"v": str(wish.version)} if wish.version > 1 else {}
        line += [json.dumps(more) if more else ""]

        now_ms, code, value, *left = self.run("submit", 20, DAY_MS, DAY_MS, *line)

        assert left == [self.reserved(account), self.charged(account)]
        if answering is not None:
            assert (code, value) == ("joined", answering)
            self.names[account, wish.name] = answering
        elif code == "queue_full":
            assert len(self.unfinished(account)) == MOST_OPEN
        elif code == "quota":
            assert self.charged(account) + self.reserved(account) + wish.units > QUOTA
        else:
            assert (code, value) == ("made", job_id)
            self.seen[job_id] = Seen(wish, now_ms)
            self.names[account, wish.name] = self.cached[account, wish.cache] = job_id
            assert len(self.unfinished(account)) <= MOST_OPEN
            assert self.charged(account) + self.reserved(account) <= QUOTA
            return job_id
        return multiple()

    @rule(job_id=jobs)
    def submit_again(self, job_id):
        if not self.record(job_id):
            return
        account = self.seen[job_id].wish.account
        line = [job_id, account, KEYS[account], "normal", 250, "{}", "", FAR_MS, 0]
        line += [UNITS, "", 12, "", "", "hash", "", "", "", "", ""]

        _, code, value, *_ = self.run("submit", 20, DAY_MS, DAY_MS, *line)

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
        line = [worker, self.sequence[worker], want, LEASE_MS, LEASE_MS // 2, 4, want]

        line += [5, 60_000, SERVED[worker], READS[worker], 0, 0, 0, 0, 0]

        _, _, *jobs = self.run("claim", *line)

        for job_id, fence, *_, route, _, _, policy, in_doubt in jobs:
            assert policy == self.seen[job_id].wish.on_ambiguous
            last = self.record(job_id).get(f"attempt:{fence - 1}")
            unknown = fence > 1 and last != FAILED
            assert in_doubt == int(bool(policy) and unknown)
            assert again or fence > self.seen[job_id].fence
            assert self.seen[job_id].wish.version <= READS[worker]
            assert route == self.record(job_id).get("via", "")
            assert not route or route.partition("/")[0] in SERVED[worker].split()
        return multiple(*(Held(worker, job[0], int(job[1])) for job in jobs))

    @rule(held=claims)
    def renew(self, held):
        [answer] = self.run("renew", LEASE_MS, LEASE_MS // 2, held.job_id, held.fence)
        stored = self.record(held.job_id)
        if not stored or int(stored["fence"]) != held.fence:
            assert answer == 0
        elif stored["state"] == "running":
            assert answer == 1
            assert self.world.entries[keys.QUEUE][held.job_id] > 0

    @rule(
        held=claims,
        images=st.sampled_from([0, ASKED - 1, ASKED]),
        twice=st.booleans(),
        fault=st.sampled_from(["", "fault", "shut"]),
    )
    def commit(self, held, images, twice, fault):
        before = self.record(held.job_id)
        state, error = (
            "succeeded" if images else "failed",
            "" if images == ASKED else "{}",
        )
        result = '{"images":[{"key":"k"}],"usage":null}' if images else ""
        line = [held.job_id, held.fence, state, result, error, "{}", images, ASKED]
        line += [MODEL if images else ""]
        word = "ok" if images else fault or "-"
        line += [f"{word} 70 0 {(before or {}).get('via', 'dear/fox')}", ""]
        line += [f"{COST_MICROS} priced"]

        answers = [self.run("commit", 60_000, *line)[0] for _ in range(1 + twice)]

        assert len(set(answers)) == 1
        mine = before and int(before["fence"]) == held.fence
        if mine:
            self.spend(held, before)
        if mine and before["state"] == "running":
            assert answers[0] == 1
            self.seen[held.job_id].images = images
        elif not mine:
            assert answers[0] == 0

    def spend(self, held, before):
        """A verdict of that claim, unless it is on record, costs what it costs."""
        if f"attempt:{held.fence}" not in before or before["state"] == "running":
            self.seen[held.job_id].spent += COST_MICROS

    @rule(held=claims)
    def keep(self, held):
        stored = self.record(held.job_id)
        via = stored.get("via") or "dear/fox"
        told = f'{{"route":"{via}","tasks":["t"]}}'

        [answer] = self.run("keep", held.job_id, held.fence, told)

        mine = bool(stored) and int(stored["fence"]) == held.fence
        assert answer == int(mine and stored["state"] == "running")

    @rule(held=claims, routes=st.sampled_from(ROUTES))
    def hedge(self, held, routes):
        before = self.record(held.job_id)

        route = self.run("hedge", held.job_id, held.fence, routes, SERVED[held.worker])

        after = self.record(held.job_id)
        mine = before and int(before["fence"]) == held.fence
        if mine and before["state"] == "running" and "via" in before:
            assert route == after.get("via2", "")
            assert route == before["via2"] if "via2" in before else True
            assert not route or route.partition("/")[0] in SERVED[held.worker].split()
        else:
            assert route == ""
            assert after == before

    @rule(
        held=claims,
        wait_ms=st.sampled_from([-1, 0, 5_000]),
        goes_on=st.booleans(),
        fault=st.sampled_from(["", "fault", "shut"]),
        closed_ms=st.sampled_from([0, 0, 10_000]),
        routes=st.sampled_from(["", *ROUTES]),
        hold=st.booleans(),
    )
    def give_back(self, held, wait_ms, goes_on, fault, closed_ms, routes, hold):
        before = self.record(held.job_id)
        hold = hold and wait_ms == 0 and bool(self.seen[held.job_id].wish.on_ambiguous)
        line = [held.job_id, held.fence, wait_ms, FAILED, int(goes_on)]
        line += [f"{fault or '-'} - {closed_ms} {before.get('via', 'dear/fox')}"]
        line += [routes if before.get("routes") else ""]
        line += [int(fault == "fault"), int(hold), "", f"{COST_MICROS} priced"]

        [answer] = self.run("requeue", *line)

        after = self.record(held.job_id)
        mine = before and int(before["fence"]) == held.fence
        if mine and (wait_ms >= 0 or before["state"] != "running"):
            self.spend(held, before)
        if before and before["state"] == "running" and answer == 1:
            assert after["state"] == "queued"
            counted = int(after.get("attempts", 0)) - int(before.get("attempts", 0))
            assert counted == (0 if wait_ms < 0 else 1)
            assert ("held" in after) == hold

    @rule(job_id=jobs, account=st.sampled_from(list(KEYS)))
    def let_a_held_job_go_on(self, job_id, account):
        before = self.record(job_id)

        [answer] = self.run("release", account, job_id)

        if not before or account != self.seen[job_id].wish.account:
            assert answer == "unknown"
        elif before["state"] == "queued" and "held" in before:
            assert answer == "released"
            assert "held" not in self.record(job_id)
        else:
            assert answer == "not_held"

    @rule(job_id=jobs, account=st.sampled_from(list(KEYS)))
    def cancel(self, job_id, account):
        before = self.record(job_id)

        [answer] = self.run("cancel", account, 60_000, job_id)

        if not before or account != self.seen[job_id].wish.account:
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
    def purge(self, job_id):
        before, seen = self.record(job_id), self.seen[job_id]
        final = bool(before) and before["state"] not in {"queued", "running"}

        [answer] = self.run("purge", job_id)

        assert answer == int(final and bool(seen.wish.shown))
        seen.purged = seen.purged or bool(answer)

    @rule(job_id=jobs)
    def forget(self, job_id):
        before = self.record(job_id)
        [answer] = self.run("forget", DAY_MS, job_id)
        final = not before or before["state"] not in {"queued", "running"}
        assert answer == int(final)

    @rule(job_id=jobs)
    def lose_an_entry(self, job_id):
        """A stock arq worker throws an entry out; the sweep brings it back."""
        for lane in LANES + WAITING + CALLED + LATER + HELD:
            self.redis.zrem(lane, job_id)
        unfinished = job_id in self.unfinished()
        assert self.run("audit") == int(unfinished)

        healed = self.run("repair", *self.seen)

        assert healed == ([job_id] if unfinished else [])

    @rule()
    def audit(self):
        assert self.run("audit") == 0

    @rule(ms=st.sampled_from([1, 4_000, 16_000, 61_000]))
    def time_passes(self, ms):
        self.redis.incrby("test:skew", ms)
        self._world = None
        self.tell_gates()

    def tell_gates(self) -> None:
        """Both workers live and say so, as every few seconds."""
        seconds, _ = self.redis.time()
        now_ms = seconds * 1000 + int(self.redis.get("test:skew") or 0)
        for name, most in PROVIDERS.items():
            told = {"most": most, "seen_ms": now_ms}
            if name == "cheap":
                told |= {"per_minute": 30, "most_images": MOST_IMAGES}
            self.redis.hset(keys.gate(name), mapping=told)

    def answering(self, wish: Wish) -> str | None:
        """Return the job that a submission is to join, if there is one."""
        named = self.names.get((wish.account, wish.name)) if wish.name else None
        if named is not None and self.record(named):
            return named
        cached = self.cached.get((wish.account, wish.cache)) if wish.cache else None
        stored = self.record(cached) if cached is not None else {}
        whole = stored.get("state") == "succeeded" and "error" not in stored
        lives = stored.get("state") in {"queued", "running"}
        return cached if whole or lives else None

    @property
    def world(self) -> World:
        """All there is, read once between two steps."""
        if self._world is None:
            self._world = World(self.redis.register_script(LOOK)())
        return self._world

    def record(self, job_id: str) -> dict[str, str]:
        return self.world.hash(keys.job(job_id))

    def unfinished(self, account: str | None = None) -> list[str]:
        return self.in_states("queued", "running", account=account)

    def in_states(self, *states: str, account: str | None = None) -> list[str]:
        return [
            job_id
            for job_id, seen in self.seen.items()
            if account in {None, seen.wish.account}
            and self.record(job_id).get("state") in states
        ]

    def use(self, account: str) -> Counter[str]:
        stored = self.world.hash(keys.use(KEYS[account]))
        return Counter({name: int(value) for name, value in stored.items()})

    def reserved(self, account: str) -> int:
        return self.use(account)["reserved"]

    def charged(self, account: str) -> int:
        use = self.use(account)
        return sum(use[name] for name in use if name.startswith("used:"))

    def teardown(self) -> None:
        self.redis.close()
