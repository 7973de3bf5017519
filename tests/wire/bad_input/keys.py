"""Rows 1 to 14: who asks, and how much he may."""

from redis.asyncio import Redis

from service.settings import Limits
from tests.fakes.door import front_door
from tests.fakes.valkey import Valkey
from tests.wire.bad_input.cases import GENERATIONS, GOOD, JOBS, Case, Rows, get, posted
from tests.wire.bad_input.cases import post as post_to
from tests.wire.bad_input.house import House

EMBED = "/embed/image:test/test"
OFFICE = ("/admin", "/v1/admin/keys", "/v1/keys", "/v1/providers", "/v1/config")


def refused(*lines: str, **case: str) -> Case:
    """A submission that brings its key in lines of its own."""
    return Case(request=posted(GOOD, *lines, key=None), **case)


async def one_request_too_many(house: House) -> None:
    """The second within the minute."""
    wanted = posted(GOOD, key="{hurried}")
    first = await house.hear(wanted)
    before = await house.traces()

    second = await house.hear(wanted)

    assert first.summary == "202"
    assert second.summary == "429 rate_limited"
    assert 1 <= int(second.headers["Retry-After"]) <= 60
    assert await house.is_untouched(before)


async def full_backlog(house: House) -> None:
    """The house's unfinished jobs are more than this door takes."""
    valkey, folder = house.valkey, house.folder
    async with front_door(valkey.url, folder, limits=Limits(backlog=1)) as door:
        told = await door.post("/v1/jobs", GOOD)
    assert (told.status, told.code) == (503, "queue_unavailable")
    assert "Retry-After" in told.headers


async def redis_out_of_memory_and_dead(house: House) -> None:
    """A Valkey of its own, which takes no writes, and then nothing at all."""
    valkey = Valkey().start()
    try:
        async with (
            front_door(valkey.url, house.folder / "other") as door,
            Redis.from_url(valkey.url) as redis,
        ):
            before = await redis.dbsize()
            await redis.config_set("maxmemory", 1)
            full = await door.post("/v1/jobs", GOOD)
            made = await redis.dbsize() - before
            valkey.kill()
            dead = await door.post("/v1/jobs", GOOD)
    finally:
        valkey.close()
    assert made == 0
    for told in (full, dead):
        assert (told.status, told.code) == (503, "queue_unavailable")
        assert "Retry-After" in told.headers


ROWS: Rows = {
    1: [
        refused(),
        refused("Authorization: Bearer "),
        *(
            Case(request=get(path, key=None))
            for path in (
                *("/v1/jobs", "/v1/jobs/{finished}", "/v1/jobs/{finished}/events"),
                *("/v1/models", "/v1/usage", "/v1/credits", "/v1/files", "/v1/batches"),
                *("/v1/endpoints", "/v1/deliveries", "/v1/events", "/v1/auth/test"),
                "/v1/jobs?key={secret}",
            )
        ),
    ],
    2: [
        refused("Authorization: Bearer sk_unknown"),
        refused("Authorization: Bearer {secret}0"),
        refused("X-API-Key: sk_unknown"),
        Case(request=get(f"{EMBED}?key=sk_nobody&prompt=a", key=None)),
    ],
    3: [
        Case(request=get(JOBS, key="{revoked}")),
        Case(request=posted(GOOD, key="{revoked}")),
        Case(request=get(f"{EMBED}?key={{revoked}}&prompt=a", key=None)),
    ],
    4: [
        Case(request=get(JOBS, key="{expired}")),
        Case(request=posted(GOOD, key="{expired}")),
    ],
    5: [
        Case(request=posted(GOOD, "X-API-Key: {secret}")),
        Case(request=posted(GOOD, "Authorization: Bearer {secret}")),
        Case(request=get(f"{JOBS}?key={{secret}}")),
        Case(request=get(f"{EMBED}?prompt=a&key={{embed}}", key="{embed}")),
        Case(request=get(f"{EMBED}?prompt=a&key={{embed}}&sig=abc", key=None)),
    ],
    6: [
        refused("Authorization: Basic eDp5"),
        refused("Authorization: {secret}"),
        refused("Authorization: Digest username=x"),
    ],
    7: [
        refused("Authorization: Bearer {secret} x", answer="401 invalid_key"),
        refused("Authorization: Bearer ключ", answer="401 invalid_key"),
        refused("Authorization: Bearer " + "x" * 8000, answer="401 invalid_key"),
        refused("X-API-Key: a b", answer="401 invalid_key"),
        refused("Authorization: Bearer a\0b", answer="400 malformed_request closes"),
    ],
    8: [Case(request=get(f"{EMBED}?key={{stranger}}&prompt=a", key=None))],
    9: [
        Case(request=posted(GOOD, key="{embed}")),
        Case(request=post_to(GENERATIONS, GOOD, key="{embed}")),
        *(
            Case(request=get(path, key="{embed}"))
            for path in (JOBS, "/v1/models", "/v1/usage", "/v1/events", "/v1/batches")
        ),
    ],
    10: [
        *(
            Case(request=get(path, key="{stranger}"), answer="404 not_found")
            for path in OFFICE
        ),
        Case(
            request=get("/v1/usage?account=default", key="{stranger}"),
            answer="403 key_scope",
            param="account",
        ),
        Case(
            request=get("/v1/usage?account=nobody", key="{stranger}"),
            answer="403 key_scope",
            param="account",
        ),
    ],
    11: [Case(request=posted(GOOD, key="{poor}"))],
    12: [one_request_too_many],
    13: [Case(request=posted(GOOD, key="{full}"))],
    14: [full_backlog, redis_out_of_memory_and_dead],
}
