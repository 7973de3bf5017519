"""What only Hugging Face does: models that are loaded first, endpoints of one's own."""

from dataclasses import replace
from datetime import timedelta

from service.core.errors import ProviderThrottled
from service.core.provider import Call
from tests.fakes.upstreams.calling import REQUEST, refused, speaking_to
from tests.fakes.upstreams.huggingface import HuggingFaceFake

MODEL = HuggingFaceFake.model


async def test_a_model_that_is_being_loaded_says_when_it_will_be():
    async with speaking_to(HuggingFaceFake()) as (upstream, provider):
        upstream.fail_with("loading")
        error = await refused(provider.generate(REQUEST, model=MODEL, call=Call()))

    assert isinstance(error, ProviderThrottled)
    assert error.retry_after == timedelta(seconds=20.5)


async def test_images_of_one_seed_have_seeds_of_their_own():
    async with speaking_to(HuggingFaceFake()) as (upstream, provider):
        request = replace(REQUEST, n=2, seed=7, width=768, negative_prompt="fog")
        made = await provider.generate(request, model=MODEL, call=Call())

    assert {asked.seed for asked in upstream.calls} == {7, 8}
    assert upstream.calls[0].fields["parameters"]["negative_prompt"] == "fog"
    assert made.upstream_id in {asked.id for asked in upstream.calls}


async def test_calls_without_a_seed_are_not_answered_from_a_cache():
    async with speaking_to(HuggingFaceFake()) as (upstream, provider):
        await provider.generate(replace(REQUEST, n=2), model=MODEL, call=Call())

    assert len({asked.seed for asked in upstream.calls}) == 2


async def test_an_endpoint_of_ones_own_has_its_model_in_its_address():
    fake = HuggingFaceFake()
    async with fake:
        address = f"{fake.base_url}/models/{MODEL}"
        async with speaking_to(HuggingFaceFake(), base_url=address) as (_, provider):
            await provider.generate(REQUEST, model="-", call=Call())

    assert [asked.model for asked in fake.calls] == [MODEL]
