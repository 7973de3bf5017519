"""A page with one image is opened by everybody at once, through three front doors.

Before them come browsers that only look ahead, and those must not cost anything.
"""

import asyncio
import math
import statistics
import time
from collections import Counter
from http.client import parse_headers
from io import BytesIO
from typing import NamedTuple

from yarl import URL

from tests.chaos import books
from tests.chaos.doors import Doors, front_doors
from tests.chaos.report import Report
from tests.chaos.stage import SHORT, Cast

HIT_P50_MS = 10
_IMAGE_UNITS = 5_000
_WITHIN_S = 60
_AHEAD = (("HEAD", {}), ("GET", {"Sec-Purpose": "prefetch"}))


class _Look(NamedTuple):
    status: int
    cache: str | None
    data: bytes


async def run(
    *,
    pages: int,
    visitors: int,
    later: int,
    foreseen: int,
    cast: Cast,
    hit_p99_ms: float = math.inf,
) -> Report:
    """Open each page by `visitors` at once, then the last by `later` in a row.

    Args:
        pages: With an image of its own on each.
        visitors: Of each page.
        later: How many come back to the last page.
        foreseen: How often somebody looks ahead before all of them.
        cast: Who plays.
        hit_p99_ms: The slowest of a hundred hits may take so long; on a machine that
            is busy with other things it says nothing.
    """
    report = Report("equal embeds")
    async with front_doors(cast, count=3) as doors:
        key, secret = await doors.knows("page", quota_units=pages * _IMAGE_UNITS)
        query = {"key": secret, "prompt": "page 0"}
        ahead = [URL(url) / f"embed/image:{SHORT}" % query for url in doors.urls]
        looked = Counter([await _look_ahead(doors, ahead, i) for i in range(foreseen)])
        calls_ahead = len(books.calls(doors.stage.ledger))
        crowds, hit_ms = [], list[float]()
        for page in range(pages):
            query = {"key": secret, "prompt": f"page {page}"}
            urls = [URL(url) / f"embed/image:{SHORT}" % query for url in doors.urls]
            crowds.append(await _at_once(urls, visitors))
        crowds[-1] += [
            await _later(doors, urls[i % len(urls)], hit_ms) for i in range(later)
        ]
        balance = await doors.accounts.balance(key)
        calls = len(books.calls(doors.stage.ledger))
    looks = [look for crowd in crowds for look in crowd]
    seen = Counter(look.cache for look in looks)
    report.note(looks_ahead=looked.total(), calls_for_them=calls_ahead)
    report.note(pages=pages, visitors_each=visitors, later=later, calls=calls)
    report.note(misses=seen["MISS"], hits=seen["HIT"], units_used=balance.used)
    p50_ms = statistics.median(hit_ms)
    p99_ms = statistics.quantiles(hit_ms, n=100)[98]
    report.note(hit_p50_ms=p50_ms, hit_p99_ms=p99_ms, hit_slowest_ms=max(hit_ms))
    report.expect(
        that=calls_ahead == 0 and looked == {404: foreseen},
        otherwise=f"{calls_ahead} calls for looks ahead, answered {dict(looked)}",
    )
    report.expect(that=p99_ms < hit_p99_ms, otherwise=f"1 hit of 100 in {p99_ms} ms")
    report.expect_none("refused", [x.data[:200] for x in looks if x.status != 200])
    report.expect(that=calls == pages, otherwise=f"{calls} calls for {pages} images")
    report.expect_none(
        "pages_with_several_images",
        [page for page, crowd in enumerate(crowds) if len({x.data for x in crowd}) > 1],
    )
    report.expect(
        that=seen == {"MISS": pages, "HIT": pages * (visitors - 1) + later},
        otherwise=f"{dict(seen)}",
    )
    report.expect(
        that=(balance.used, balance.reserved) == (pages * _IMAGE_UNITS, 0),
        otherwise=f"{balance}",
    )
    report.expect(that=p50_ms < HIT_P50_MS, otherwise=f"a hit takes {p50_ms:.1f} ms")
    return report


async def _at_once(urls: list[URL], visitors: int) -> list[_Look]:
    """Connect all visitors first, so that their requests leave within a breath."""
    takers = [urls[number % len(urls)] for number in range(visitors)]
    lines = await asyncio.gather(
        *(asyncio.open_connection(url.host, url.port) for url in takers)
    )
    for url, (_, writer) in zip(takers, lines, strict=True):
        head = f"GET {url.raw_path_qs} HTTP/1.1\r\nHost: {url.authority}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
    async with asyncio.timeout(_WITHIN_S):
        answers = await asyncio.gather(*(reader.read() for reader, _ in lines))
    for _, writer in lines:
        writer.close()
    return [_read(answer) for answer in answers]


def _read(answer: bytes) -> _Look:
    head, _, data = answer.partition(b"\r\n\r\n")
    status, _, rest = head.partition(b"\r\n")
    headers = parse_headers(BytesIO(rest + b"\r\n\r\n"))
    return _Look(int(status.split()[1]), headers["X-Cache"], data)


async def _look_ahead(doors: Doors, urls: list[URL], number: int) -> int:
    method, headers = _AHEAD[number % len(_AHEAD)]
    url = urls[number % len(urls)]
    async with doors.session.request(method, url, headers=headers) as answer:
        return answer.status


async def _later(doors: Doors, url: URL, took_ms: list[float]) -> _Look:
    begun = time.perf_counter()
    async with doors.session.get(url) as answer:
        data = await answer.read()
    took_ms.append((time.perf_counter() - begun) * 1000)
    return _Look(answer.status, answer.headers.get("X-Cache"), data)
