"""One submission said over and over: by everybody at once, and after a door has died.

The door dies at the worst moment there is: Redis has written the job down, and the
door has not been told yet. Whoever says it again, elsewhere, must get that very job.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import aiohttp

from tests.chaos import books
from tests.chaos.doors import Doors, door, front_doors, until_open
from tests.chaos.program import Program
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, SECRET, Cast
from tests.fakes.brink import Brink

_UNITS = 5_000
_PATIENCE_S = 120


class _Answer(NamedTuple):
    status: int
    body: Any
    is_replay: bool


async def crowd(*, rounds: int, callers: int, cast: Cast) -> Report:
    """Let `callers` say the same at once, through three doors, `rounds` times."""
    report = Report("equal submissions")
    async with front_doors(cast, count=3) as doors:
        key, secret = await doors.knows("default", quota_units=rounds * _UNITS)
        said = [await _at_once(doors, secret, n, callers) for n in range(rounds)]
        ids = [{answer.body.get("id") for answer in answers} for answers in said]
        client = doors.stage.client.using(secret)
        jobs = [await client.final(one) for found in ids for one in found]
        balance = await doors.accounts.balance(key)
        listed = [job["id"] async for job in client.jobs()]
        calls = len(books.calls(doors.stage.ledger))
    statuses = Counter(answer.status for answers in said for answer in answers)
    report.note(rounds=rounds, callers=callers, answers=dict(statuses))
    report.note(jobs=len(listed), calls=calls, units_used=balance.used)
    report.expect(
        that=statuses == {202: rounds * callers}, otherwise=f"answers {statuses}"
    )
    report.expect_none("rounds_with_several_ids", [i for i in ids if len(i) != 1])
    first = [sum(not answer.is_replay for answer in answers) for answers in said]
    report.expect_none("rounds_without_one_first", [n for n in first if n != 1])
    for what, count in (("jobs", len(listed)), ("final", len(jobs)), ("calls", calls)):
        report.expect(
            that=count == rounds, otherwise=f"{count} {what} of {rounds} submissions"
        )
    report.expect(
        that=(balance.used, balance.reserved) == (rounds * _UNITS, 0),
        otherwise=f"{balance}",
    )
    return report


async def _at_once(
    doors: Doors, secret: str, number: int, callers: int
) -> list[_Answer]:
    urls = [doors.urls[n % len(doors.urls)] for n in range(callers)]
    prompt = f"round {number}"
    return await asyncio.gather(
        *(_say(doors.session, url, prompt, secret=secret) for url in urls)
    )


async def _say(
    session: aiohttp.ClientSession, url: str, prompt: str, *, secret: str = SECRET
) -> _Answer:
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": prompt}
    body = {"model": MODEL, "prompt": prompt}
    async with session.post(f"{url}/v1/jobs", json=body, headers=headers) as answer:
        is_replay = answer.headers.get("Idempotent-Replayed") == "true"
        return _Answer(answer.status, await answer.json(), is_replay)


async def between(*, rounds: int, abreast: int, cast: Cast) -> Report:
    """Kill doors between Redis's answer and their own; say everything again.

    Args:
        rounds: How many submissions are to be interrupted at that very moment.
        abreast: How many are said at once; what they share is cut off with them.
        cast: Who plays.
    """
    report = Report("doors killed between the step and the answer")
    async with contextlib.AsyncExitStack() as stack:
        doors = await stack.enter_async_context(front_doors(cast, count=1))
        victims = [await _Victim.by(doors, stack, f"victim{n}") for n in range(2)]
        gone = [victim.open() for victim in victims]
        taken, kills, again = set[str](), 0, dict[str, _Answer]()
        while len(taken) < rounds:
            said = [f"brink {kills} {n}." for n in range(abreast)]
            await gone[kills % 2]
            taken |= await victims[kills % 2].take_along(said)
            gone[kills % 2] = victims[kills % 2].open()
            for name in said:
                again[name] = await _say(doors.session, doors.stage.base_url, name)
            kills += 1
        await asyncio.gather(*gone)
        ids = {answer.body.get("id") for answer in again.values()}
        finals = [await doors.stage.client.final(job_id) for job_id in ids]
        listed = [job["id"] async for job in doors.stage.client.jobs()]
        calls = len(books.calls(doors.stage.ledger))
    report.note(rounds=len(taken), kills=kills, submissions=len(again))
    report.note(jobs=len(listed), calls=calls, extra=len(listed) - len(again))
    report.expect_none(
        "made_anew", [name for name in taken if not again[name].is_replay]
    )
    report.expect_none(
        "not_made", [job["id"] for job in finals if job["status"] != "succeeded"]
    )
    for what, count in (("ids", len(ids)), ("jobs", len(listed)), ("calls", calls)):
        report.expect(
            that=count == len(again), otherwise=f"{count} {what} for {len(again)} names"
        )
    return report


class _Victim:
    """A front door that is killed as often as one likes, behind a brink of its own."""

    def __init__(
        self, session: aiohttp.ClientSession, brink: Brink, program: Program, url: str
    ) -> None:
        self._session, self._brink = session, brink
        self._program, self._url = program, url

    @classmethod
    async def by(
        cls, doors: Doors, stack: contextlib.AsyncExitStack, name: str
    ) -> "_Victim":
        socket = doors.stage.valkey.socket
        brink = await stack.enter_async_context(Brink(socket))
        program, url = door(doors.stage, stack, name, DARKROOM_REDIS_URL=brink.url)
        return cls(doors.session, brink, program, url)

    def open(self) -> asyncio.Task[None]:
        """Start it, again; done when it takes jobs."""
        self._program.start()
        return asyncio.create_task(until_open(self._session, self._url))

    async def take_along(self, names: Sequence[str]) -> set[str]:
        """Submit under these names, and die behind the step that holds the last.

        Returns those that this step held; none where a door was too busy to take all.
        """
        sent, last = set[str](), set[str]()

        def is_last(step: bytes) -> bool:
            last.clear()
            last.update(name for name in names if name.encode() in step)
            sent.update(last)
            return bool(last) and len(sent) == len(names)

        self._brink.stop(at=is_last, behind=True)
        calls = [_say(self._session, self._url, name) for name in names]
        said = asyncio.gather(*calls, return_exceptions=True)
        reached = asyncio.create_task(self._brink.reached.wait())
        async with asyncio.timeout(_PATIENCE_S):
            await asyncio.wait({said, reached}, return_when="FIRST_COMPLETED")
        self._program.kill()
        taken = set(last) if reached.done() else set[str]()
        reached.cancel()
        self._brink.go_on()
        answered = [answer for answer in await said if isinstance(answer, _Answer)]
        assert len(answered) <= len(names) - len(taken), answered
        return taken
