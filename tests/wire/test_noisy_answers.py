"""Whatever bytes a provider sends, an attempt ends in images or in an error of its own.

An adapter that meets anything else crashes, and what came of the attempt is lost; so
is what cannot be written down behind it.
"""

import base64
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from service import settings
from service.core.catalog import ProviderEntry
from service.core.errors import (
    BadOutput,
    ProviderError,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
)
from service.core.provider import Call, Generated
from service.core.requests import GenerationRequest
from service.outbound import Outbound
from tests.fakes.pictures import draw
from tests.fakes.scripted_door import ScriptedDoor, answer
from workers.providers import adapter

REQUEST = GenerationRequest(model="any/model", prompt="a fox")
INLINE = base64.b64encode(draw("a fox", width=8, height=8)).decode()
DRAWN = answer({"data": [{"b64_json": INLINE}]}, x_request_id="req_1")
BUSY = answer({"error": {"code": "slow_down"}}, 429, x_request_id="r", Retry_After="7")
NOISE = b"\x00\n \x80\xff7{"
TOO_MANY = 2**64 - 1
GEMINI = {
    "candidates": [{"content": {"parts": [{"inlineData": {"data": INLINE}}]}}],
    "usageMetadata": {"totalTokenCount": TOO_MANY, "promptTokenCount": 3},
}
FAL = {"response_url": "/requests/1"}
HORDE = [{"img": "http://[", "gen_metadata": [{"type": []}, {"type": {}}]}]
COMFY = {"prompt_id": "1"}


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    async with Outbound(settings.Outbound()) as opened:
        yield opened


async def end_of(
    outbound: Outbound, door: ScriptedDoor, name: str = "openai", n: int = 1
) -> Generated | ProviderError:
    """Return what a call comes to, when it is sure that it can be written down."""
    entry = ProviderEntry(
        name="p", adapter=name, base_url=door.url, timeout=timedelta(seconds=5)
    )
    provider = adapter(name)(entry, outbound, "key")
    try:
        end = await provider.generate(replace(REQUEST, n=n), model="m", call=Call())
    except ProviderError as exc:
        orjson.dumps(exc.upstream_id)
        return exc
    orjson.dumps([end.upstream_id, end.usage])
    return end


def noisy(whole: bytes) -> Iterator[bytes]:
    """Yield the answer with each byte of its head as others."""
    for place in range(whole.index(b"\r\n\r\n") + 4):
        for byte in NOISE:
            yield whole[:place] + bytes([byte]) + whole[place + 1 :]


@pytest.mark.parametrize(
    ("whole", "kind"), [(DRAWN, Generated), (BUSY, ProviderThrottled)]
)
async def test_no_byte_of_a_head_ends_an_attempt_in_a_crash(outbound, whole, kind):
    answers = list(noisy(whole))

    async with ScriptedDoor(*answers) as door:
        ends = [await end_of(outbound, door) for _ in answers]

    assert {type(end) for end in ends} > {kind}


@pytest.mark.parametrize("cut", [0, 5, 20, -1000, -40, -1])
async def test_an_answer_that_breaks_off_is_an_error(outbound, cut):
    async with ScriptedDoor(DRAWN[:cut]) as door:
        end = await end_of(outbound, door)

    assert isinstance(end, ProviderError)


@pytest.mark.parametrize(
    ("name", "answers", "kind"),
    [
        ("openai", [({"error": {"code": []}}, 429)], ProviderThrottled),
        ("openai", [({"error": {"code": {}}}, 400)], ProviderRefused),
        ("openai", [({"data": [{"url": "https://xn--a/"}]}, 200)], BadOutput),
        ("bfl", [({"id": "1", "polling_url": "http://["}, 200)], BadOutput),
        ("bfl", [({"id": "1", "polling_url": "no url"}, 200)], BadOutput),
        ("bfl", [({"id": "1", "polling_url": "://"}, 200)], BadOutput),
        ("bfl", [({"id": "1", "polling_url": "https://xn--a/"}, 200)], BadOutput),
        ("fal", [({"response_url": "http://h:port/"}, 200)], BadOutput),
        (
            "fal",
            [
                (FAL, 200),
                ({"status": "COMPLETED"}, 200),
                ({"detail": [{"type": []}]}, 500),
            ],
            ProviderUnavailable,
        ),
        (
            "horde",
            [({"id": "1"}, 202), ({"done": True}, 200), ({"generations": HORDE}, 200)],
            BadOutput,
        ),
        (
            "comfyui",
            [(COMFY, 200), ({"1": {"outputs": {"9": {"images": 7}}}}, 200)],
            BadOutput,
        ),
        (
            "comfyui",
            [(COMFY, 200), *[({}, 200), ({"queue_running": 7}, 200)] * 2],
            ProviderUnavailable,
        ),
    ],
)
async def test_a_field_of_another_type_is_one_that_is_not_there(
    outbound, name: str, answers: list[tuple[Any, int]], kind: type[ProviderError]
):
    async with ScriptedDoor(*(answer(*told) for told in answers)) as door:
        end = await end_of(outbound, door, name)

    assert type(end) is kind


async def test_counts_that_no_record_could_hold_are_left_out(outbound):
    async with ScriptedDoor(answer(GEMINI), answer(GEMINI)) as door:
        end = await end_of(outbound, door, "gemini", n=2)

    assert isinstance(end, Generated)
    assert end.usage == {"input_tokens": 6}
