"""What an answer under `replicated` stands for, whoever wrote what it tells of."""

import asyncio
import base64
from pathlib import Path

import pytest

from service.core.errors import QueueUnavailable
from tests.fakes.door import front_door
from tests.fakes.pictures import draw
from tests.fakes.sentinels import Pair, replicated
from tests.fakes.terminal import Ended, Terminal

JOBS = "/v1/jobs"
CAT = base64.b64encode(draw("a cat", width=32, height=24)).decode()
ASKED = {
    "by its words": {"model": "test/test", "prompt": "a fox"},
    "by an image": {
        "model": "test/test",
        "prompt": "in snow",
        "image": f"data:image/png;base64,{CAT}",
    },
}


async def test_what_no_replica_has_is_promised_to_nobody_who_asks_again(tmp_path: Path):
    with replicated(by_link=True) as pair:
        async with front_door(
            pair.primary.url, tmp_path, durability="replicated"
        ) as door:
            kept = [
                await door.post(JOBS, ASKED["by an image"], Idempotency_Key="kept")
                for _ in range(2)
            ]
            pair.link.stall()

            doubted = [
                await asyncio.gather(
                    *(
                        door.post(JOBS, asked, Idempotency_Key=name)
                        for name, asked in ASKED.items()
                    )
                )
                for _ in range(2)
            ]

    assert kept[0].body["id"] == kept[1].body["id"]
    assert [(a.status, a.code) for again in doubted for a in again] == [
        (503, "queue_unavailable")
    ] * 4


async def test_a_key_is_not_called_revoked_where_a_failover_would_bring_it_back(
    tmp_path: Path,
):
    with replicated(by_link=True) as pair:
        async with front_door(
            pair.primary.url, tmp_path, durability="replicated"
        ) as door:
            key, _ = await door.knows("ada")
            pair.link.stall()

            with pytest.raises(QueueUnavailable):
                await door.door.front.backends.accounts.revoke(key.id)


async def test_commands_for_keys_promise_no_more_than_the_front_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with replicated(by_link=True) as pair:
        made = await types(pair, "keys", "create", "--json")
        key_id = made.json["id"]
        pair.link.stall()

        doubted = [
            await types(pair, "keys", *words)
            for words in (("create",), ("revoke", key_id), ("revoke", key_id))
        ]

    assert [ended.out for ended in doubted] == ["", "", ""]
    for ended in doubted:
        assert "so that a failover may undo it: look whether it is" in ended.failure


async def types(pair: Pair, *words: str) -> Ended:
    """Type a command on a machine that shares this Redis."""
    terminal = Terminal("http://nowhere", "sk_nobody")
    return await terminal.types(
        *words, DARKROOM_REDIS_URL=pair.primary.url, DARKROOM_DURABILITY="replicated"
    )
