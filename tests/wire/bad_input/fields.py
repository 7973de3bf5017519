"""Rows 34 to 56: fields that are wrong, and names of requests."""

import asyncio
from typing import Any

import orjson

from tests.wire.bad_input.cases import (
    GENERATIONS,
    GOOD,
    JOBS,
    OPENAI,
    Case,
    Rows,
    edit,
    everywhere,
    get,
    post,
    posted,
    with_fields,
)
from tests.wire.bad_input.forms import IMAGE, PNG, both, json_edit
from tests.wire.bad_input.house import House
from tests.wire.bad_input.references import data_url


def wrong(name: str, *values: Any, **case: Any) -> list[Case]:
    """Return cases that have the field wrong, and must be told its name."""
    return [
        one
        for value in values
        for one in everywhere(with_fields(**{name: value}), param=name, **case)
    ]


def native(name: str, *values: Any, param: str | None = None) -> list[Case]:
    """Return such cases for a field that only native jobs have."""
    return [
        Case(request=posted(with_fields(**{name: value})), param=param or name)
        for value in values
    ]


def in_form(name: str, *values: str) -> list[Case]:
    """Return edits that have the field wrong in a form."""
    return [
        case
        for value in values
        for case in both(edit(IMAGE, **{name: value}), param=name)
    ]


def shown(model: str, query: str = "prompt=a", **case: Any) -> Case:
    """Return an embed link of a model."""
    target = f"/embed/image:{model}?key={{embed}}&{query}"
    return Case(request=get(target, key=None), **case)


def called(*names: str, answer: str = "400 invalid_idempotency_key") -> Case:
    """Return a submission under these names."""
    lines = [f"Idempotency-Key: {name}" for name in names]
    return Case(request=posted(GOOD, *lines), answer=answer)


async def other_body_under_one_name(house: House) -> None:
    named = "Idempotency-Key: one"
    first = await house.hear(posted(GOOD, named))
    before = await house.traces()

    told = await house.hear(posted({**GOOD, "prompt": "a hen"}, named))

    assert first.summary == "202"
    assert told.summary == "422 idempotency_mismatch"
    assert await house.is_untouched(before)


async def one_name_at_once(house: House) -> None:
    named = posted(GOOD, "Idempotency-Key: at once")

    said = await asyncio.gather(*(house.hear(named) for _ in range(20)))

    assert {one.summary for one in said} == {"202"}
    assert len({orjson.loads(one.raw)["id"] for one in said}) == 1


async def one_name_in_two_accounts(house: House) -> None:
    said = [
        await house.hear(posted(GOOD, "Idempotency-Key: shared", key=key))
        for key in ("{secret}", "{stranger}")
    ]

    assert {one.summary for one in said} == {"202"}
    assert len({orjson.loads(one.raw)["id"] for one in said}) == 2
    assert not any("Idempotent-Replayed" in one.headers for one in said)


def metadata(param: Any, value: Any) -> Case:
    return Case(request=posted(with_fields(metadata=value)), param=param)


ROWS: Rows = {
    34: wrong("prompt", ..., None),
    35: [
        *wrong("prompt", "", " \t\n\u200b\ufeff"),
        shown("test/test", "prompt=+%E2%80%8B"),
    ],
    36: wrong("prompt", "x" * 32_001),
    37: [
        *wrong("prompt", 5, ["a"], {"a": 1}, True),
        *wrong("size", 1024),
        *wrong("output_format", 1),
        *wrong("seed", "1"),
        *wrong("max_cost", "1"),
        *native("dry_run", "yes"),
        *native("cache", 1),
        *in_form("strict", "perhaps"),
        *json_edit("image", image=1),
        *json_edit("image", image={"file_id": "file-1"}),
        *json_edit("images[1]", images=[data_url(PNG), []]),
    ],
    38: wrong("model", ...),
    39: wrong("model", "no/such", "test/slow-*"),
    40: [
        *wrong("model", "../x", "..%2fx", "x" * 5000, "TEST/TEST"),
        *wrong("model", "test/tеst"),  # noqa: RUF001 - a Cyrillic letter
        *(shown(name) for name in ("../admin", "%2e%2e", "te%00st", "x" * 5000)),
    ],
    41: [
        Case(request=post(route, GOOD, key="{narrow}"), param="model")
        for route in (JOBS, GENERATIONS)
    ],
    42: [*wrong("n", 0, -1, 1.5, "2", True, 10**9), *in_form("n", "two", "0", "1.5")],
    43: [*wrong("n", 11), Case(request=posted({**GOOD, "n": 11, "dry_run": True}))],
    44: [
        *wrong("size", "0x0", "-1x1", "1024", "1024X1024 ", "1e3x1e3", "99999x99999"),
        *wrong("size", "１０２４x1024"),  # noqa: RUF001
        *wrong("aspect_ratio", "wide"),
        *everywhere(with_fields(image_config={"image_size": "8K"}), param="image_size"),
    ],
    45: [
        *everywhere(with_fields(model="test/rigid", size="64x48"), param="size"),
        *everywhere(
            with_fields(model="test/rigid", aspect_ratio="4:3"), param="aspect_ratio"
        ),
    ],
    46: [
        *wrong("quality", "best"),
        *wrong("style", "baroque"),
        *wrong("output_format", "gif"),
        *native("operation", "paint"),
        *in_form("quality", "best"),
        Case(request=get("/v1/jobs?status=done"), param="status"),
    ],
    47: [
        *everywhere(
            with_fields(background="transparent", output_format="jpg"),
            param="background",
        ),
        *wrong("output_compression", 50),
        Case(
            request=posted(
                with_fields(images=["https://example.com/a"], operation="generate")
            ),
            param="operation",
        ),
    ],
    48: wrong("output_compression", 101, -1),
    49: [*wrong("seed", 2**63, 2**64, -1, 1.0), *in_form("seed", str(2**63))],
    50: [
        *(
            one
            for name in ("tenant_id", "state", "__proto__", "account", "cost")
            for one in wrong(name, "x", answer="400 unknown_field")
        ),
        *wrong("provider_key", {"a": 1}, answer="400 unknown_field"),
        *(
            Case(request=one.request, answer="400 unknown_field", param=one.param)
            for one in native("response_format", "url")
        ),
        *everywhere(
            with_fields(image_config={"tier": "4K"}),
            answer="400 unknown_field",
            param="image_config.tier",
        ),
        Case(
            request=post(OPENAI, {**GOOD, "state": "x"}, "Prefer: respond-async"),
            answer="202",
        ),
    ],
    51: [
        metadata("metadata", {str(i): "x" for i in range(17)}),
        metadata("metadata.a", {"a": "x" * 513}),
        metadata(..., {"a" * 65: "x"}),
        metadata("metadata.a", {"a": {"b": "c"}}),
        metadata("metadata.a", {"a": 1}),
        metadata("metadata", "a"),
    ],
    52: [
        *native("priority", "urgent"),
        *native("deadline_s", 0, -60, 400 * 86_400),
        *wrong("user", "x" * 513),
        *wrong("max_cost", -1),
        *(
            Case(request=get(f"/v1/jobs/{{queued}}?wait={wait}"))
            for wait in ("0", "61", "-1", "1.5", "x", "")
        ),
    ],
    53: [
        called(""),
        called("x" * 256),
        called("naïve"),
        called("a\x01b", answer="400 malformed_request closes"),
        called("one", "two"),
    ],
    54: [other_body_under_one_name],
    55: [one_name_at_once],
    56: [one_name_in_two_accounts],
    136: both(edit(IMAGE, model="openai/dall-e-3"), param="model"),
    137: [shown("openai/dall-e-2"), shown("no-such-model")],
}
