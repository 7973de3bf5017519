"""When a call is sent again, and when it is given up."""

import math
from typing import Any

import httpx
import pytest

from service.client.bodies import Lines
from service.client.errors import Refused, Unreachable
from service.client.patience import Patience, Trouble
from service.client.steps import Request

JOB = Request(path="/v1/jobs/job_1")
AWAY = httpx.ConnectError("refused")
LOST = httpx.ReadError("reset")


def trouble(request: Request = JOB, **changes: Any) -> Trouble:
    wishes = {"host": "here", "away_s": 60.0, "busy_s": 60.0, "say": lambda _: None}
    return Trouble(request, Patience(**(wishes | changes)))


def no(status: int, code: str = "no", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"error": {"code": code, "message": "not now"}}
    return httpx.Response(status, json=body, headers=named)


def test_waits_grow_and_are_spread():
    call = trouble(away_s=math.inf)

    waits = [call.unheard(AWAY) for _ in range(40)]

    assert all(wait <= 0.25 * 2**n for n, wait in enumerate(waits))
    assert max(waits) <= 10
    assert len(set(waits)) == 40


@pytest.mark.parametrize(
    ("headers", "least_s"),
    [
        ({"Retry_After": "7"}, 7),
        ({"Retry_After": "7", "retry_after_ms": "6500"}, 6.5),
        ({"Retry_After": "Fri, 31 Dec 2027 23:59:59 GMT"}, 0),
    ],
)
def test_what_it_asks_for_is_waited_for_and_a_bit(
    headers: dict[str, str], least_s: float
):
    wait_s = trouble().turned_away(no(503, **headers))

    assert least_s <= wait_s <= least_s + 0.25


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_these_may_pass(status: int):
    assert trouble().turned_away(no(status)) < 1


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 410, 422, 501])
def test_these_will_not(status: int):
    with pytest.raises(Refused, match="not now") as refused:
        trouble().turned_away(no(status))

    assert not refused.value.may_pass


def test_its_advice_is_taken():
    with pytest.raises(Refused):
        trouble().turned_away(no(503, x_should_retry="false"))
    assert trouble().turned_away(no(409, x_should_retry="true")) < 1


def test_an_error_of_the_request_s_own_is_not_tried_for_ever():
    call = trouble()
    for _ in range(5):
        call.turned_away(no(500))

    with pytest.raises(Refused):
        call.turned_away(no(500))


def test_one_that_is_away_longer_than_patience_lasts_is_given_up():
    with pytest.raises(Unreachable, match="here does not answer") as gone:
        trouble(away_s=-1).unheard(AWAY)

    assert gone.value.__cause__ is AWAY


@pytest.mark.parametrize(
    "exc", [httpx.UnsupportedProtocol("ftp"), httpx.LocalProtocolError("header")]
)
def test_a_request_that_cannot_be_sent_is_not_tried_again(exc: httpx.RequestError):
    with pytest.raises(Unreachable):
        trouble().unheard(exc)


def test_one_that_is_busy_is_not_away():
    call = trouble(away_s=5, busy_s=math.inf)

    assert call.turned_away(no(429, Retry_After="4")) >= 4
    with pytest.raises(Refused) as refused:
        call.turned_away(no(429, "quota_exceeded", Retry_After="601"))
    assert refused.value.may_pass
    assert refused.value.retry_after_s == 601


ONCE = Request(method="POST", path="/v1/endpoints", is_once=True)


def test_what_would_do_it_twice_is_sent_again_if_it_never_arrived():
    assert trouble(ONCE).unheard(AWAY) < 1
    assert trouble(ONCE).turned_away(no(503)) < 1


def test_what_would_do_it_twice_is_not_sent_again_if_it_may_have_been_done():
    with pytest.raises(Unreachable):
        trouble(ONCE).unheard(LOST)
    with pytest.raises(Refused):
        trouble(ONCE).turned_away(no(502))


def test_lines_that_are_gone_cannot_be_sent_again():
    once, again = Lines(iter(["a fox"])), Lines(["a fox"])
    for lines in (once, again):
        assert trouble(Request(path="/v1/batches", body=lines)).unheard(LOST) < 1
        list(lines.chunks())

    assert trouble(Request(path="/v1/batches", body=again)).unheard(LOST) < 1
    with pytest.raises(Unreachable):
        trouble(Request(path="/v1/batches", body=once)).unheard(LOST)


def test_why_nothing_goes_on_is_said_now_and_then():
    said: list[str] = []
    call = trouble(say=said.append)

    for _ in range(5):
        call.turned_away(no(503, "queue_unavailable"))

    assert said == ["here says: not now; trying again"]


def test_a_page_of_somebody_else_s_is_a_refusal_all_the_same():
    page = httpx.Response(404, text="<h1>nginx</h1>")

    with pytest.raises(Refused, match="HTTP 404") as refused:
        trouble().turned_away(page)

    assert (refused.value.code, refused.value.status) == ("http_error", 404)
