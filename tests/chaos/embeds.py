"""A page with one image is opened by everybody at once, through two front doors."""

import asyncio
import statistics
import time
from collections import Counter
from typing import NamedTuple

from yarl import URL

from tests.chaos import books
from tests.chaos.doors import Doors, two_doors
from tests.chaos.report import Report
from tests.chaos.stage import SHORT, Cast

HIT_P50_MS = 10
_IMAGE_UNITS = 5_000


class _Look(NamedTuple):
    status: int
    cache: str | None
    data: bytes
    ms: float


async def run(*, visitors: int, later: int, cast: Cast) -> Report:
    """Let `visitors` look at once, and then `later` ones one after the other."""
    report = Report("equal embeds")
    async with two_doors(cast) as doors:
        key, secret = await doors.knows("page", quota_units=_IMAGE_UNITS)
        urls = [
            URL(base) / f"embed/image:{SHORT}" % {"key": secret, "prompt": "a fox"}
            for base in doors.urls
        ]
        crowd = await asyncio.gather(
            *(_look(doors, urls[number % 2]) for number in range(visitors))
        )
        after = [await _look(doors, urls[number % 2]) for number in range(later)]
        balance = await doors.accounts.balance(key)
        bought = books.calls(doors.stage.ledger)
    seen = Counter(look.cache for look in crowd)
    report.note(visitors=visitors, misses=seen["MISS"], hits=seen["HIT"])
    report.note(calls=len(bought), units_used=balance.used, later=later)
    hit_ms = [look.ms for look in after]
    report.note(hit_p50_ms=statistics.median(hit_ms), hit_slowest_ms=max(hit_ms))
    looks = [*crowd, *after]
    report.expect_none("refused", [x.data[:200] for x in looks if x.status != 200])
    report.expect(that=len({x.data for x in looks}) == 1, otherwise="images differ")
    report.expect(that=len(bought) == 1, otherwise=f"{len(bought)} calls")
    report.expect(
        that=(seen["MISS"], seen["HIT"]) == (1, visitors - 1), otherwise=f"{seen}"
    )
    report.expect_none("later_misses", [x.cache for x in after if x.cache != "HIT"])
    report.expect(
        that=(balance.used, balance.reserved) == (_IMAGE_UNITS, 0),
        otherwise=f"{balance}",
    )
    p50_ms = report.figures["hit_p50_ms"]
    report.expect(that=p50_ms < HIT_P50_MS, otherwise=f"a hit takes {p50_ms:.1f} ms")
    return report


async def _look(doors: Doors, url: URL) -> _Look:
    begun = time.perf_counter()
    async with doors.session.get(url) as answer:
        data = await answer.read()
    took_ms = (time.perf_counter() - begun) * 1000
    return _Look(answer.status, answer.headers.get("X-Cache"), data, took_ms)
