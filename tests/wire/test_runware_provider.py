"""What only Runware does: tasks with ids of ours, a cost for each image."""

from dataclasses import replace
from decimal import Decimal

import pytest

from service.core.errors import PromptRejected
from service.core.provider import Call
from tests.fakes.upstreams.calling import (
    INPUT,
    MASK,
    OTHER,
    REQUEST,
    refused,
    speaking_to,
)
from tests.fakes.upstreams.runware import RunwareFake

MODEL = RunwareFake.model


@pytest.mark.parametrize(
    ("asked", "sent"), [("png", "PNG"), ("jpeg", "JPG"), ("webp", "WEBP")]
)
async def test_a_task_says_what_is_wanted_in_its_words(asked, sent):
    async with speaking_to(RunwareFake()) as (upstream, provider):
        request = replace(
            REQUEST, n=2, seed=7, negative_prompt="fog", output_format=asked
        )
        made = await provider.generate(request, model=MODEL, call=Call())

    fields = upstream.calls[0].fields
    assert fields["negativePrompt"] == "fog"
    assert (fields["numberResults"], fields["seed"]) == (2, 7)
    assert fields["outputFormat"] == sent
    assert made.upstream_id == fields["taskUUID"]


async def test_each_image_has_its_cost():
    async with speaking_to(RunwareFake()) as (_, provider):
        made = await provider.generate(replace(REQUEST, n=3), model=MODEL, call=Call())

    assert made.cost_usd == Decimal("0.0039")


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (Call(images=[INPUT]), {"seedImage", "strength"}),
        (Call(images=[INPUT, OTHER]), {"referenceImages"}),
        (Call(images=[INPUT, OTHER], mask=MASK), {"seedImage", "maskImage"}),
    ],
    ids=["one", "several", "masked"],
)
async def test_images_are_seeds_or_references(call, names):
    async with speaking_to(RunwareFake()) as (upstream, provider):
        await provider.generate(REQUEST, model=MODEL, call=call)

    fields = set(upstream.calls[0].fields)
    images = {"seedImage", "strength", "referenceImages", "maskImage"}
    assert fields & images == names


async def test_pictures_that_were_all_flagged_are_a_refusal_that_is_billed():
    async with speaking_to(RunwareFake()) as (upstream, provider):
        upstream.fail_with("flagged")
        error = await refused(provider.generate(REQUEST, model=MODEL, call=Call()))

    assert isinstance(error, PromptRejected)
    assert error.billed


async def test_an_error_under_a_200_is_one():
    async with speaking_to(RunwareFake()) as (upstream, provider):
        upstream.fail_with("error_under_200")
        error = await refused(provider.generate(REQUEST, model=MODEL, call=Call()))

    assert error.code == "provider_billing"
