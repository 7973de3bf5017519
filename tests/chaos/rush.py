"""Far more is asked for than a quota holds: all of it is granted, and no more.

Nothing fails here and nothing is given back, so the number of acceptances is known
beforehand; and whoever is refused must be told the truth about when to come again.
"""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple

from service.core.periods import end_of
from tests.chaos.doors import Doors, front_doors
from tests.chaos.quota import OPEN_RETRY_AFTER_S
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, Cast

_UNITS = 5_000
_SLACK = timedelta(seconds=10)
"""An answer is told in whole seconds, and heard a little later."""


class _Refusal(NamedTuple):
    code: str
    retry_after: timedelta
    heard_at: datetime

    @property
    def is_soon(self) -> bool:
        return self.retry_after <= timedelta(seconds=OPEN_RETRY_AFTER_S)

    @property
    def is_next_period(self) -> bool:
        left = end_of(self.heard_at) - self.heard_at
        return abs(self.retry_after - left) < _SLACK


async def run(*, images: int, clients: int, each: int, cast: Cast) -> Report:
    """Let every client ask `each` times for an image, of which there are `images`."""
    report = Report("a rush for a quota")
    async with front_doors(cast, count=3) as doors:
        key, secret = await doors.knows("rush", quota_units=images * _UNITS)
        begun = time.monotonic()
        asked = await asyncio.gather(
            *(_ask(doors, secret, client, each) for client in range(clients))
        )
        took_s = time.monotonic() - begun
        answers = [answer for one in asked for answer in one]
        client = doors.stage.client.using(secret)
        jobs = [job["id"] async for job in client.jobs()]
        ends = Counter([(await client.final(job_id))["status"] for job_id in jobs])
        [late] = await _ask(doors, secret, 0, 1)
        balance = await doors.accounts.balance(key)
    refusals = [answer for answer in answers if isinstance(answer, _Refusal)]
    accepted = len(answers) - len(refusals)
    report.note(images=images, clients=clients, asked=len(answers), took_s=took_s)
    report.note(accepted=accepted, refused=len(refusals), **dict(ends))
    report.note(units_used=balance.used, reserved=balance.reserved)
    report.expect(that=accepted == images, otherwise=f"{accepted} were accepted")
    report.expect(that=ends == {"succeeded": images}, otherwise=f"{dict(ends)}")
    report.expect(
        that=(balance.used, balance.reserved) == (images * _UNITS, 0),
        otherwise=f"{balance}",
    )
    report.expect_none(
        "told_wrong",
        [one for one in refusals if one.code != "quota_exceeded" or not one.is_soon],
    )
    report.expect(
        that=isinstance(late, _Refusal) and late.is_next_period,
        otherwise=f"when all was used up, {late}",
    )
    return report


async def _ask(
    doors: Doors, secret: str, client: int, times: int
) -> list[_Refusal | str]:
    """Return ids of jobs, and refusals."""
    answers: list[_Refusal | str] = []
    headers = {"Authorization": f"Bearer {secret}"}
    for turn in range(client, client + times):
        url = f"{doors.urls[turn % len(doors.urls)]}/v1/jobs"
        body = {"model": MODEL, "prompt": f"client {client}"}
        async with doors.session.post(url, json=body, headers=headers) as answer:
            said = await answer.json()
            if answer.status == HTTPStatus.ACCEPTED:
                answers.append(said["id"])
                continue
            assert answer.status == HTTPStatus.TOO_MANY_REQUESTS, said
            wait = timedelta(seconds=int(answer.headers["Retry-After"]))
        answers.append(_Refusal(said["error"]["code"], wait, datetime.now(UTC)))
    return answers
