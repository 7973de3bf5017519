"""Rows 101 to 109: jobs and their events, as strangers and the hasty ask for them."""

import asyncio
import socket

from service.job_store import keys
from tests.fakes.listener import listening
from tests.wire.bad_input.cases import Case, Rows, get, post, request
from tests.wire.bad_input.house import PATIENCE_S, House

UNKNOWN = f"job_{'0' * 26}"
NO_IDS = (
    "nonsense",
    "x" * 5000,
    "%2e%2e%2f",
    "%00",
    "%F0%9F%A6%8A",
    "job_%20",
    "..%2Fx",
)
SAME = "X-Request-ID: same"


def about(*jobs: str, answer: str) -> list[Case]:
    """Return what can be asked about each job."""
    return [
        Case(request=one, answer=answer)
        for job in jobs
        for one in (
            get(f"/v1/jobs/{job}"),
            get(f"/v1/jobs/{job}?wait=1"),
            get(f"/v1/jobs/{job}/images/0"),
            post(f"/v1/jobs/{job}/cancel", None),
            request("DELETE", f"/v1/jobs/{job}"),
        )
    ]


async def strangers_job_looks_like_none(house: House) -> None:
    """To the byte, wherever one asks."""
    for tail in ("", "?wait=1", "/images/0", "/events"):
        said = [
            await house.hear(get(f"/v1/jobs/{job}{tail}", SAME))
            for job in ("{foreign}", UNKNOWN, "nonsense")
        ]

        assert len({one.raw for one in said}) == 1


async def cancel_twice(house: House) -> None:
    """The second answer is the first."""
    cancel = post("/v1/jobs/{canceled}/cancel", None)

    first, second = [await house.hear(cancel) for _ in range(2)]

    assert first.summary == second.summary == "200"
    assert first.raw == second.raw


async def event_of_the_future(house: House) -> None:
    """Who knows more than we do is told how things stand."""
    path = f"/v1/jobs/{house.names['finished']}/events?after=99999999999999-0"

    async with listening(house.door.url, path) as heard:
        last = (await heard.rest())[-1]

    assert last.data["status"] == "succeeded"


async def one_stream_too_many(house: House) -> None:
    door, secret = house.doors["hasty"], house.names["follower"]
    path = "/v1/events"

    async with (
        listening(door.url, path, secret=secret),
        listening(door.url, path, secret=secret),
    ):
        said = await house.hear(get(path, key="{follower}"), door="hasty")

    assert said.summary == "429 too_many_streams"
    assert "Retry-After" in said.headers


async def reader_who_takes_nothing(house: House) -> None:
    """More than any buffer holds happens, and he is cut off."""
    loop, sock = asyncio.get_running_loop(), socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    with sock:
        await loop.sock_connect(sock, ("127.0.0.1", house.doors["hasty"].port))
        await loop.sock_sendall(
            sock, house.spelled(get("/v1/events", key="{stranger}"))
        )
        assert b" 200 " in await loop.sock_recv(sock, 64)
        async with house.redis.pipeline(transaction=False) as pipe:
            for number in range(4000):
                event = {"job": f"job_{number:0200}", "state": "queued"}
                pipe.xadd(keys.events("stranger"), event)
            pipe.publish(keys.CHANGES, "stranger")
            await pipe.execute()
        hub = house.doors["hasty"].door.front.hub
        async with asyncio.timeout(PATIENCE_S):
            while hub.followers:
                await asyncio.sleep(0.01)


ROWS: Rows = {
    101: [
        *about("{foreign}", UNKNOWN, answer="404 not_found"),
        Case(request=get("/v1/jobs/{deleted}"), answer="410 deleted"),
        Case(
            request=get("/v1/jobs/{deleted}", key="{stranger}"), answer="404 not_found"
        ),
        strangers_job_looks_like_none,
    ],
    102: about(*NO_IDS, answer="404 not_found"),
    103: [Case(request=post("/v1/jobs/{finished}/cancel", None))],
    104: [cancel_twice],
    105: [
        Case(request=get(f"/v1/jobs?{query}"))
        for query in (
            *("limit=0", "limit=-1", "limit=1000000000", "limit=abc", "limit="),
            *("after=nonsense", f"after={UNKNOWN}", "after={foreign}"),
        )
    ],
    106: [
        Case(request=get(f"/v1/jobs/{job}/events", *lines))
        for job in ("{foreign}", UNKNOWN, "x")
        for lines in ((), ("Last-Event-ID: 0-0",))
    ],
    107: [
        *(
            Case(
                request=get(path, f"Last-Event-ID: {last}"),
                answer="400 invalid_event_id",
            )
            for path in ("/v1/events", "/v1/jobs/{queued}/events")
            for last in ("x", "1-2-3", "-1", f"{'9' * 30}-0", "{foreign_event}")
        ),
        event_of_the_future,
    ],
    108: [one_stream_too_many],
    109: [reader_who_takes_nothing],
}
