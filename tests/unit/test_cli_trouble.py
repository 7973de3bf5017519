"""How long a command waits before it tries again."""

import httpx
import pytest

from service.cli.trouble import Trouble


@pytest.mark.parametrize(
    ("asked", "least_s"),
    [("7", 7), ("0", 0), ("-5", 0), ("2592000", 300), ("Sat, 21 Nov 2026", 1)],
)
def test_wait_is_as_asked_and_never_the_rest_of_a_month(asked: str, least_s: float):
    trouble = Trouble()

    trouble.turned_away(httpx.Response(429, headers={"Retry-After": asked}))

    assert least_s <= trouble.wait_s <= least_s + 1
