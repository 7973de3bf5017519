"""What only the web UI does: checkpoints by name, pictures from one image."""

from dataclasses import replace

from service.core.provider import Call
from tests.fakes.upstreams.a1111 import A1111Fake
from tests.fakes.upstreams.calling import INPUT, MASK, OTHER, REQUEST, speaking_to


async def test_a_checkpoint_is_loaded_for_the_call():
    async with speaking_to(A1111Fake()) as (upstream, provider):
        request = replace(REQUEST, n=2, seed=2**32 + 7, negative_prompt="fog")
        made = await provider.generate(request, model="sdxl.safetensors", call=Call())

    assert upstream.calls[0].fields == {
        "prompt": REQUEST.prompt,
        "negative_prompt": "fog",
        "width": 1024,
        "height": 1024,
        "batch_size": 2,
        "seed": 7,
        "do_not_save_samples": True,
        "do_not_save_grid": True,
        "override_settings": {"sd_model_checkpoint": "sdxl.safetensors"},
    }
    assert len(made.images) == 2


async def test_the_default_is_whatever_is_loaded():
    async with speaking_to(A1111Fake()) as (upstream, provider):
        await provider.generate(REQUEST, model="default", call=Call())

    assert "override_settings" not in upstream.calls[0].fields


async def test_of_several_images_the_first_is_drawn_from():
    async with speaking_to(A1111Fake()) as (upstream, provider):
        call = Call(images=[INPUT, OTHER], mask=MASK)
        await provider.generate(REQUEST, model="default", call=call)

    [asked] = upstream.calls
    assert asked.images == [INPUT.data]
    assert asked.mask == MASK.data
    assert asked.fields["inpaint_full_res"] is False
