"""What only Black Forest Labs does: shapes, regions, credits, kinds of status."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from service.core.errors import PromptRejected, ProviderRefused
from service.core.provider import Call
from tests.fakes.upstreams.bfl import BFLFake
from tests.fakes.upstreams.calling import (
    INPUT,
    MASK,
    OTHER,
    REQUEST,
    refused,
    speaking_to,
)

WIDE = replace(REQUEST, width=1344, height=768)


async def test_most_models_are_asked_for_pixels():
    async with speaking_to(BFLFake()) as (upstream, provider):
        await provider.generate(WIDE, model="flux-2-max", call=Call())

    fields = upstream.calls[0].fields
    assert (fields["width"], fields["height"]) == (1344, 768)
    assert "aspect_ratio" not in fields


@pytest.mark.parametrize("model", ["flux-kontext-pro", "flux-pro-1.1-ultra"])
async def test_some_models_are_asked_for_a_ratio(model):
    async with speaking_to(BFLFake()) as (upstream, provider):
        await provider.generate(WIDE, model=model, call=Call())

    fields = upstream.calls[0].fields
    assert fields["aspect_ratio"] == "16:9"
    assert "width" not in fields


async def test_a_fill_keeps_the_size_of_its_image():
    async with speaking_to(BFLFake()) as (upstream, provider):
        call = Call(images=[INPUT], mask=MASK)
        await provider.generate(WIDE, model="flux-pro-1.0-fill", call=call)

    assert set(upstream.calls[0].fields) == {
        "prompt",
        "output_format",
        "image",
        "mask",
    }


async def test_references_are_numbered_from_the_second_on():
    async with speaking_to(BFLFake()) as (upstream, provider):
        call = Call(images=[INPUT, OTHER])
        await provider.generate(REQUEST, model="flux-2-pro", call=call)

    assert {"input_image", "input_image_2"} <= set(upstream.calls[0].fields)
    assert upstream.calls[0].images == [INPUT.data, OTHER.data]


@pytest.mark.parametrize(
    ("asked", "sent"), [("png", "png"), ("jpeg", "jpeg"), ("webp", "jpeg")]
)
async def test_webp_is_left_to_us_to_make(asked, sent):
    async with speaking_to(BFLFake()) as (upstream, provider):
        request = replace(REQUEST, output_format=asked, seed=7)
        await provider.generate(request, model="flux-2-pro", call=Call())

    assert upstream.calls[0].fields["output_format"] == sent
    assert upstream.calls[0].seed == 7


async def test_a_credit_is_a_cent_for_each_image():
    async with speaking_to(BFLFake()) as (_, provider):
        request = replace(REQUEST, n=2)
        made = await provider.generate(request, model="flux-2-pro", call=Call())

    assert made.cost_usd == Decimal("0.06")


async def test_a_job_taken_over_does_not_know_what_the_first_paid():
    async with speaking_to(BFLFake()) as (upstream, provider):
        kept = list[str]()

        async def keep(tasks):
            kept[:] = tasks

        await provider.generate(REQUEST, model="flux-2-pro", call=Call(keep_tasks=keep))
        made = await provider.generate(
            REQUEST, model="flux-2-pro", call=Call(kept_tasks=kept)
        )

    assert made.cost_usd is None
    assert len(upstream.calls) == 1


async def test_the_task_is_looked_at_where_it_was_said_to_be():
    async with speaking_to(BFLFake()) as (upstream, provider):
        kept = list[str]()

        async def keep(tasks):
            kept[:] = tasks

        made = await provider.generate(
            REQUEST, model="flux-2-pro", call=Call(keep_tasks=keep)
        )

    task = upstream.calls[0].id
    assert kept == [f"{upstream.origin}/v1/get_result?id={task}"]
    assert made.upstream_id == task


async def test_a_status_of_tomorrow_is_no_end():
    async with speaking_to(BFLFake()) as (upstream, provider):
        upstream.fail_with("in_a_new_state")
        made = await provider.generate(REQUEST, model="flux-2-pro", call=Call())

    assert len(made.images) == 1
    assert len(upstream.looks) > 1


async def test_a_moderated_request_is_a_refusal_as_a_moderated_picture_is():
    async with speaking_to(BFLFake()) as (upstream, provider):
        upstream.fail_with("request_moderated")
        error = await refused(
            provider.generate(REQUEST, model="flux-2-pro", call=Call())
        )

    assert isinstance(error, PromptRejected)


async def test_a_picture_and_a_moderated_one_are_one_picture():
    async with speaking_to(BFLFake()) as (upstream, provider):
        upstream.fail_with("rejected")
        request = replace(REQUEST, n=2)
        made = await provider.generate(request, model="flux-2-pro", call=Call())

    assert len(made.images) == 1
    assert made.cost_usd is None


async def test_a_size_that_it_does_not_draw_is_ours_to_mend():
    async with speaking_to(BFLFake()) as (_, provider):
        request = replace(REQUEST, width=1000)
        error = await refused(
            provider.generate(request, model="flux-2-pro", call=Call())
        )

    assert isinstance(error, ProviderRefused)
    assert error.code == "provider_invalid_request"


async def test_tasks_say_together_how_far_they_have_come():
    noted = list[float]()
    async with speaking_to(BFLFake(takes=timedelta(seconds=0.1))) as (_, provider):
        call, request = Call(progress=noted.append), replace(REQUEST, n=2)
        await provider.generate(request, model="flux-2-pro", call=call)

    assert noted[:2] == [0.25, 0.5]
