"""How long a wrong key takes tells nothing of the right one."""

import math
import string
import time

import pytest
from redis.asyncio import Redis

from service.accounts import Accounts, Grant
from service.core.errors import Unauthenticated
from service.settings import Limits

SAMPLES = 1000
LEAST_LIKELY = 1e-5
"""A hundred thousand runs of equals would differ so much once."""
LETTERS = string.ascii_letters + string.digits + "-_"


def unlikeliness(left: list[int], right: list[int]) -> float:
    """Return the p-value of Mann and Whitney's U test, two-sided; ties are split."""
    ranked = sorted([(t, 0) for t in left] + [(t, 1) for t in right])
    ranks, at = 0.0, 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        ranks += sum(1 - side for _, side in ranked[at:end]) * (at + end + 1) / 2
        at = end
    m, n = len(left), len(right)
    u = ranks - m * (m + 1) / 2
    deviation = math.sqrt(m * n * (m + n + 1) / 12)
    return math.erfc(abs(u - m * n / 2) / deviation / math.sqrt(2))


async def time_ns(accounts: Accounts, guess: str) -> int:
    begun = time.perf_counter_ns()
    with pytest.raises(Unauthenticated):
        await accounts.authenticate(guess)
    return time.perf_counter_ns() - begun


async def test_a_key_that_is_almost_right_takes_as_long_as_any(redis: Redis):
    accounts = Accounts(redis, Limits())
    _, secret = await accounts.create(Grant(account="ada"))
    head, tail = secret[:3], secret[3:]
    pairs = [(a, b) for a in LETTERS for b in LETTERS if a + b != tail[:2]]
    pairs = [pair for pair in pairs if pair[0] + pair[1] != tail[-2:]][:SAMPLES]

    at_first, at_last = [], []
    for a, b in pairs:
        at_first.append(await time_ns(accounts, f"{head}{a}{b}{tail[2:]}"))
        at_last.append(await time_ns(accounts, f"{head}{tail[:-2]}{a}{b}"))

    assert unlikeliness(at_first, at_last) > LEAST_LIKELY


def test_the_measure_tells_what_differs_from_what_does_not():
    times = list(range(SAMPLES))

    assert unlikeliness(times, times) == pytest.approx(1)
    assert unlikeliness(times, [t + SAMPLES // 10 for t in times]) < LEAST_LIKELY
