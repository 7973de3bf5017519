"""What pages of others, and keys that stand in pages, can make this service do."""

import asyncio
import re

from redis.asyncio import Redis

from service.accounts import Scope
from tests.fakes.door import FrontDoor
from tests.fakes.embeds import EMBED, jobs_in, look
from tests.fakes.worker import FakeWorker
from tests.wire.isolation import ROUTES

EVIL = {"Origin": "https://evil.example", "Referer": "https://evil.example/x"}


async def test_pages_of_others_may_read_nothing_and_are_never_remembered(
    door: FrontDoor,
):
    shared = []
    for name in ROUTES:
        method, _, path = name.partition(" ")
        path = re.sub(r"\{\w+\}", "x", path)
        asks = {"Access-Control-Request-Method": method, **EVIL}
        preflight = await door.call("OPTIONS", path, secret=None, **asks)
        if name != "GET /v1/events":
            answer = await door.call(method, path, secret=None, **EVIL)
            shared += [h for h in answer.headers if h.lower().startswith("access-cont")]
            assert "Set-Cookie" not in answer.headers, name
        shared += [h for h in preflight.headers if h.lower().startswith("access-cont")]
        assert preflight.status in {404, 405}, name

    assert shared == []


async def test_a_hostile_page_spends_its_own_keys_quota_and_nothing_more(
    door: FrontDoor, worker: FakeWorker, redis: Redis
):
    main, _ = await door.knows("ada")
    first, secret = await door.knows("ada", scopes=EMBED)
    await look(door, secret, "an+owl")
    cost = (await door.accounts.balance(first)).used
    own, secret = await door.knows("ada", scopes=EMBED, quota_units=3 * cost)

    answers = await asyncio.gather(*(look(door, secret, f"fox+{i}") for i in range(20)))

    codes = {answer.code for answer in answers if answer.status != 200}
    made = sum(answer.status == 200 for answer in answers)
    spent = [(await door.accounts.balance(key)).used for key in (own, main)]
    assert (made, codes) == (3, {"quota_exceeded"})
    assert await jobs_in(redis) == 1 + made
    assert spent == [3 * cost, 0]


async def test_figures_of_the_whole_are_not_for_those_from_outside(door: FrontDoor):
    from_outside = {"X_Forwarded_For": "192.0.2.1"}
    _, embed = await door.knows("ada", scopes=frozenset({Scope.EMBED}))
    await door.submit()

    codes = [
        (await door.get("/metrics", secret=secret, **from_outside)).code
        for secret in (None, embed)
    ]
    page = (await door.get("/metrics", secret=None)).raw.decode()

    assert codes == ["missing_key", "key_scope"]
    assert not re.findall(r'(?:account|key|key_id|job|job_id|prompt)="', page)
