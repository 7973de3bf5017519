"""The invariants of the job store, held against every order of steps there is.

After each step of `job_store_steps.py`:

* every job that is not final has exactly one entry, and no other entry exists;
* an entry is clock-valued exactly when its job is leased or in backoff;
* no key runs more jobs than it may, and none waits while it may run;
* no provider has more calls or images than it allows, and each is counted once;
* who is held waits in the lane of its key, and nobody else does;
* whoever may call a provider does not wait for it, at the latest after an audit;
* a final state never changes, and has one delivery if somebody asked for it;
* the fence only rises;
* units used and reserved add up to what was asked and delivered;
* the ledger is the sum over all jobs there ever were;
* of an ephemeral job that is final, no word is left;
* the lines of a batch that are under way are those whose jobs are, a window at most;
* each line ends once, and the counts of a batch are the sum over its lines;
* a batch ends exactly when its last line does, and is told of once;
* a batch with room in its window and lines to come is never left alone.
"""

import os
from collections import Counter
from datetime import UTC, datetime

from hypothesis import settings
from hypothesis.stateful import invariant, rule

from service.core.jobs import STEPS, JobState
from service.job_store import keys
from tests.wire.batch_steps import ENDED, BatchSteps
from tests.wire.job_store_steps import (
    CALLED,
    HELD,
    KEYS,
    LANES,
    LATER,
    MODEL,
    MOST_IMAGES,
    MOST_RUNNING,
    PROVIDERS,
    SERVER,
    WAITING,
    WORDS,
)


class JobStoreMachine(BatchSteps):
    """What must hold; see the module's docstring."""

    @invariant()
    def every_unfinished_job_has_one_entry(self):
        entries = Counter(
            entry for lane in self.world.entries.values() for entry in lane
        )
        assert entries == Counter(self.unfinished())
        assert self.world.number(f"{keys.QUEUE}:open") == entries.total()

    @invariant()
    def an_entry_is_clock_valued_exactly_when_leased_or_in_backoff(self):
        for job_id in self.unfinished():
            stored = self.record(job_id)
            score = self.world.entries[keys.QUEUE].get(job_id)
            on_clock = score is not None and score > 0
            lapsed = any(job_id in self.world.entries[lane] for lane in LANES[2:])
            if stored["state"] == "running":
                assert on_clock or lapsed
            else:
                assert on_clock == ("due_ms" in stored)

    @invariant()
    def no_key_runs_more_than_it_may_and_none_waits_while_it_may_run(self):
        for account, key_id in KEYS.items():
            running = self.in_states("running", account=account)
            waiting = self.world.entries[keys.waiting(key_id)]
            queued = self.in_states("queued", account=account)
            ready = [
                job_id
                for job_id in queued
                if job_id not in waiting
                and not {"due_ms", "held"} & self.record(job_id).keys()
            ]
            assert self.use(account)["running"] == len(running)
            assert set(waiting) <= set(queued)
            if MOST_RUNNING[account]:
                assert len(running) <= MOST_RUNNING[account]
            if waiting:
                assert len(running) + len(ready) >= MOST_RUNNING[account]

    @invariant()
    def no_provider_has_more_calls_than_it_allows(self):
        via, drawn = Counter[str](), Counter[str]()
        for job_id in self.in_states("running"):
            for call in {"via", "via2"} & self.record(job_id).keys():
                name = self.record(job_id)[call].partition("/")[0]
                via[name] += 1
                drawn[name] += self.seen[job_id].wish.images
        for name, most in PROVIDERS.items():
            gate = self.world.hash(keys.gate(name))
            assert int(gate.get("running", 0)) == via[name]
            assert via[name] <= most
            assert int(gate.get("images", 0)) == drawn[name]
        assert drawn["cheap"] <= MOST_IMAGES or via["cheap"] == 1
        for lane in CALLED:
            for job_id, score in self.world.entries[lane].items():
                stored = self.record(job_id)
                assert stored["state"] == "queued"
                assert float(stored["tag"]) == score
                assert lane[len(keys.wait("")) :] in self.world.items(keys.WAITS)

    @rule()
    def nobody_waits_who_may_call(self):
        assert self.run("audit") == 0
        skew = self.world.number("test:skew")
        seconds, micros = self.redis.time()
        now_ms = seconds * 1000 + micros // 1000 + skew
        heads = {
            lane: min(entries, key=entries.__getitem__)
            for lane in CALLED
            if (entries := self.world.entries[lane])
        }
        for lane, head in heads.items():
            kind, _, routes = lane[len(keys.wait("")) :].partition(":")
            for route in routes.split("\n"):
                name = route.partition("/")[0]
                before = [
                    other
                    for other, first in heads.items()
                    if name in other and self.tag(first) < self.tag(head)
                ]
                if not (before and name == "cheap"):  # its images may be saved for them
                    assert not self.is_open(
                        route, now_ms, looks=kind == "tasks", job_id=head
                    )

    @rule()
    def no_number_has_to_be_corrected(self):
        assert self.run("recount", 1_000, *KEYS.values()) == 0

    def tag(self, job_id: str) -> int:
        return int(self.record(job_id)["tag"])

    def is_open(self, route: str, now_ms: int, *, looks: bool, job_id: str) -> bool:
        """Whether a call more would be allowed, with those who are ready counted."""
        name = route.partition("/")[0]
        gate, health = self.world.hash(keys.gate(name)), {}
        if not looks:
            health = self.world.hash(keys.route(route))
        aside = WAITING + CALLED + LATER + HELD
        ready = [
            job_id
            for job_id in self.in_states("queued")
            if not any(job_id in self.world.entries[lane] for lane in aside)
            and name in self.record(job_id).get("routes", "")
        ]
        moments = [gate.get("closed_ms", 0), gate.get("next_ms", 0)]
        if int(health.get("failures", 0)) >= 5:
            moments += [health["opened_ms"], health["probe_ms"]]
        shut = any(int(moment) > now_ms for moment in moments)
        full = int(gate.get("running", 0)) >= PROVIDERS[name]
        drawn = int(gate.get("images", 0))
        if name == "cheap" and drawn:
            full = full or drawn + self.seen[job_id].wish.images > MOST_IMAGES
        return not (shut or full or ready)

    @invariant()
    def who_is_held_waits_in_the_lane_of_its_key_and_nobody_else_does(self):
        for lane, account in zip(HELD, KEYS, strict=True):
            held = {
                job_id
                for job_id in self.in_states("queued", account=account)
                if "held" in self.record(job_id)
            }
            assert set(self.world.entries[lane]) == held

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
    def each_final_state_that_somebody_wants_to_be_told_of_has_one_delivery(self):
        states = {
            job_id: self.state_of(job_id)
            for job_id, seen in self.seen.items()
            if seen.wish.notify
        }
        asked = {
            f"dlv_{job_id.removeprefix('job_')}_{state}_own"
            for job_id, state in states.items()
            if state.is_final
        }
        asked |= {
            f"dlv_{batch_id.removeprefix('batch_')}_{seen.state}_own"
            for batch_id, seen in self.seen_batches.items()
            if self.batch(batch_id)["state"] in ENDED
        }
        assert self.world.scores(keys.DELIVER).keys() == asked
        for delivery in asked:
            assert self.world.hash(keys.delivery(delivery))["state"] == "pending"

    @invariant()
    def no_unit_appears_or_disappears(self):
        for account in KEYS:
            unfinished = self.unfinished(account)
            everybody = [s for s in self.seen.values() if s.wish.account == account]
            open_units = sum(self.seen[job_id].wish.units for job_id in unfinished)
            assert self.reserved(account) == open_units
            assert self.charged(account) == sum(seen.charged for seen in everybody)
            assert self.use(account)["open"] == len(unfinished)

    @invariant()
    def the_ledger_is_the_sum_over_all_jobs(self):
        expected, drawn = Counter[str](), 0
        for seen in self.seen.values():
            day = datetime.fromtimestamp(seen.day_ms / 1000, tz=UTC).date()
            row = f"darkroom:usage:{seen.wish.account}:{day} {KEYS[seen.wish.account]}"
            expected[f"{row}:jobs"] += 1
            if seen.state.is_final:
                expected[f"{row}:{seen.state}"] += 1
            expected[f"{row}:images"] += seen.images
            expected[f"{row}:units"] += seen.charged
            expected[f"{row}:cost_micros:priced"] += seen.spent
            drawn += seen.images
        stored = Counter(
            {
                f"{key} {name}": int(value)
                for key in self.world.named("darkroom:usage:")
                for name, value in self.world.hash(key).items()
            }
        )
        assert stored == +expected
        popular = self.world.named("darkroom:popular:")
        assert sum(self.world.scores(day)[MODEL] for day in popular) == drawn

    @invariant()
    def of_an_ephemeral_job_that_is_final_no_word_is_left(self):
        left = self.world.scores(keys.EPHEMERAL)
        for job_id, seen in self.seen.items():
            stored = self.record(job_id)
            gone = bool(seen.wish.shown) and seen.state.is_final
            assert (job_id in left) == (gone and bool(stored) and not seen.purged)
            if stored:
                assert (stored["request"] == WORDS) != gone
                assert not (seen.purged and '"images"' in stored.get("result", ""))

    @invariant()
    def the_lines_under_way_are_those_whose_jobs_are(self):
        for batch_id, seen in self.seen_batches.items():
            unfinished = set(self.unfinished())
            under_way = {n for n, job_id in seen.jobs.items() if job_id in unfinished}
            stored = self.world.items(keys.batch(batch_id, "open"))
            assert {int(number) for number in stored} == under_way
            assert len(under_way) <= int(self.batch(batch_id)["window"])

    @invariant()
    def each_line_ends_once_and_the_counts_add_up(self):
        for batch_id, seen in self.seen_batches.items():
            stored = self.batch(batch_id)
            over = Counter(map(int, self.done(batch_id)))
            found = {n: self.state_of(job_id) for n, job_id in seen.jobs.items()}
            ended = {n: state for n, state in found.items() if state.is_final}
            assert over == Counter([*ended, *seen.unfit])
            states = Counter(str(state) for state in ended.values())
            states["completed"] = states.pop("succeeded", 0)
            states["failed"] += len(seen.unfit)
            if stored["state"] in ENDED:
                word = "expired" if stored["state"] == "expired" else "canceled"
                states[word] += seen.total - over.total()
                assert states.total() == seen.total
            for name in ("completed", "failed", "canceled", "expired"):
                assert int(stored.get(name, 0)) == states[name]
            images = [self.seen[job_id].images for job_id in seen.jobs.values()]
            assert int(stored.get("images", 0)) == sum(images)
            costs = sum(self.seen[job_id].spent for job_id in seen.jobs.values())
            assert int(stored.get("cost_micros", 0)) == costs

    @invariant()
    def a_batch_ends_exactly_when_its_last_line_does(self):
        for batch_id, seen in self.seen_batches.items():
            stored = self.batch(batch_id)
            state, left = stored["state"], seen.total - int(stored["cursor"])
            under_way = len(self.world.items(keys.batch(batch_id, "open")))
            if seen.state in ENDED:
                assert state == seen.state
            seen.state = state
            nothing_to_come = left == 0 or state in {"cancelling", "expiring"}
            assert (state in ENDED) or under_way or not nothing_to_come
            if state in ENDED:
                assert not under_way
            active = self.world.items(f"darkroom:batches:active:{seen.account}")
            assert (batch_id in active) == (state not in ENDED)

    @invariant()
    def a_batch_with_room_and_lines_to_come_is_not_left_alone(self):
        for batch_id, seen in self.seen_batches.items():
            stored = self.batch(batch_id)
            left = seen.total - int(stored["cursor"])
            under_way = len(self.world.items(keys.batch(batch_id, "open")))
            has_room = under_way <= int(stored["window"]) / 2
            if stored["state"] == "in_progress" and left and has_room:
                assert batch_id in self.world.scores(keys.FEED)
            if stored["state"] != "in_progress":
                assert batch_id not in self.world.scores(keys.FEED)

    def state_of(self, job_id: str) -> JobState:
        return JobState(self.record(job_id).get("state", self.seen[job_id].state))

    def batch(self, batch_id: str) -> dict[str, str]:
        return self.world.hash(keys.batch(batch_id))

    def done(self, batch_id: str) -> list[str]:
        return self.world.items(keys.batch(batch_id, "done"))


EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "200"))


class TestJobStoreModel(JobStoreMachine.TestCase):
    settings = settings(
        max_examples=EXAMPLES,
        stateful_step_count=40,
        report_multiple_bugs=False,
    )

    @classmethod
    def setup_class(cls) -> None:
        SERVER.start()

    @classmethod
    def teardown_class(cls) -> None:
        SERVER.close()
