"""A page with one image is opened by everybody at once, through two front doors."""

import asyncio
import statistics
import time
from collections import Counter
from http.client import parse_headers
from io import BytesIO
from typing import NamedTuple

from yarl import URL

from tests.chaos import books
from tests.chaos.doors import Doors, two_doors
from tests.chaos.report import Report
from tests.chaos.stage import SHORT, Cast

HIT_P50_MS = 10
_IMAGE_UNITS = 5_000
_WITHIN_S = 60


class _Look(NamedTuple):
    status: int
    cache: str | None
    data: bytes


async def run(*, pages: int, visitors: int, later: int, cast: Cast) -> Report:
    """Open each page by `visitors` at once, then the last by `later` in a row."""
    report = Report("equal embeds")
    async with two_doors(cast) as doors:
        key, secret = await doors.knows("page", quota_units=pages * _IMAGE_UNITS)
        crowds, hit_ms = [], list[float]()
        for page in range(pages):
            query = {"key": secret, "prompt": f"page {page}"}
            urls = [URL(url) / f"embed/image:{SHORT}" % query for url in doors.urls]
            crowds.append(await _at_once(urls, visitors))
        crowds[-1] += [await _later(doors, urls[i % 2], hit_ms) for i in range(later)]
        balance = await doors.accounts.balance(key)
        calls = len(books.calls(doors.stage.ledger))
    looks = [look for crowd in crowds for look in crowd]
    seen = Counter(look.cache for look in looks)
    report.note(pages=pages, visitors_each=visitors, later=later, calls=calls)
    report.note(misses=seen["MISS"], hits=seen["HIT"], units_used=balance.used)
    p50_ms = statistics.median(hit_ms)
    report.note(hit_p50_ms=p50_ms, hit_slowest_ms=max(hit_ms))
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


async def _later(doors: Doors, url: URL, took_ms: list[float]) -> _Look:
    begun = time.perf_counter()
    async with doors.session.get(url) as answer:
        data = await answer.read()
    took_ms.append((time.perf_counter() - begun) * 1000)
    return _Look(answer.status, answer.headers.get("X-Cache"), data)
