"""What only AI Horde does: volunteers, kudos, one text for both prompts."""

from dataclasses import replace
from datetime import timedelta

from service.core.errors import (
    PromptRejected,
    ProviderThrottled,
    ProviderUnavailable,
)
from service.core.provider import Call
from tests.fakes.upstreams.calling import (
    INPUT,
    MASK,
    REQUEST,
    refused,
    speaking_to,
)
from tests.fakes.upstreams.horde import HordeFake

MODEL = HordeFake.model


async def test_what_should_not_be_seen_stands_behind_the_prompt():
    async with speaking_to(HordeFake()) as (upstream, provider):
        request = replace(REQUEST, prompt="a ### b", negative_prompt="fog", seed=7)
        await provider.generate(request, model=MODEL, call=Call())

    fields = upstream.calls[0].fields
    assert fields["prompt"] == "a # # # b ### fog"
    assert fields["params"]["seed"] == "7"


async def test_all_images_are_one_request():
    async with speaking_to(HordeFake()) as (upstream, provider):
        made = await provider.generate(replace(REQUEST, n=3), model=MODEL, call=Call())

    assert [asked.n for asked in upstream.calls] == [3]
    assert len(made.images) == 3


async def test_images_that_are_finished_say_how_far_the_others_are():
    noted = list[float]()
    async with speaking_to(HordeFake(takes=timedelta(seconds=0.1))) as (_, provider):
        call = Call(progress=noted.append)
        await provider.generate(replace(REQUEST, n=4), model=MODEL, call=call)

    assert noted == [0.5, 1.0]


async def test_a_mask_makes_an_image_to_start_from_one_to_paint_in():
    async with speaking_to(HordeFake()) as (upstream, provider):
        await provider.generate(REQUEST, model=MODEL, call=Call(images=[INPUT]))
        masked = Call(images=[INPUT], mask=MASK)
        await provider.generate(REQUEST, model=MODEL, call=masked)

    ways = [asked.fields["source_processing"] for asked in upstream.calls]
    assert ways == ["img2img", "inpainting"]


async def test_without_a_key_it_is_nobodys_request():
    async with speaking_to(HordeFake(), key=None) as (_, provider):
        error = await refused(provider.generate(REQUEST, model=MODEL, call=Call()))

    assert error.code == "provider_auth"


async def test_a_censored_picture_is_a_refusal():
    async with speaking_to(HordeFake()) as (upstream, provider):
        upstream.fail_with("censored")
        error = await refused(provider.generate(REQUEST, model=MODEL, call=Call()))

    assert isinstance(error, PromptRejected)


async def test_no_volunteer_for_a_model_is_a_matter_of_time():
    async with speaking_to(HordeFake()) as (upstream, provider):
        upstream.fail_with("unmanned")
        error = await refused(provider.generate(REQUEST, model=MODEL, call=Call()))

    assert isinstance(error, ProviderThrottled)
    assert error.retry_after == timedelta(minutes=10)


async def test_a_request_that_nobody_can_draw_any_more_is_not_waited_for():
    async with speaking_to(HordeFake()) as (upstream, provider):
        upstream.fail_with("impossible")
        error = await refused(provider.generate(REQUEST, model=MODEL, call=Call()))

    assert isinstance(error, ProviderUnavailable)
