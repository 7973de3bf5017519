"""What only ComfyUI does: the operator's own graph, a queue beside a history."""

from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from service.core.errors import ProviderRefused, ProviderUnavailable
from service.core.provider import Call
from tests.fakes.upstreams.calling import (
    INPUT,
    MASK,
    OTHER,
    REQUEST,
    refused,
    speaking_to,
)
from tests.fakes.upstreams.comfyui import ComfyUIFake

MODEL = ComfyUIFake.model
WORKFLOW = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "own.sft"}},
    "2": {
        "class_type": "CLIPTextEncode",
        "inputs": {"text": "Masterpiece, %prompt%", "clip": ["1", 1]},
    },
    "3": {
        "class_type": "CLIPTextEncode",
        "inputs": {"text": "%negative_prompt%", "clip": ["1", 1]},
    },
    "4": {
        "class_type": "EmptyLatentImage",
        "inputs": {
            "width": "%width%",
            "height": "%height%",
            "batch_size": "%batch_size%",
        },
    },
    "5": {
        "class_type": "KSampler",
        "inputs": {
            "model": ["1", 0],
            "positive": ["2", 0],
            "negative": ["3", 0],
            "latent_image": ["4", 0],
            "seed": "%seed%",
            "steps": 4,
            "cfg": 1.0,
            "sampler_name": "euler",
            "scheduler": "simple",
            "denoise": 1.0,
        },
    },
}


@pytest.fixture
def workflow(tmp_path):
    """Write a graph to a file, as its editor exports it."""

    def write(graph) -> str:
        file = tmp_path / "workflow.json"
        file.write_bytes(orjson.dumps(graph))
        return str(file)

    return write


async def test_the_plain_graph_draws_with_the_checkpoint_of_the_route():
    async with speaking_to(ComfyUIFake()) as (upstream, provider):
        request = replace(REQUEST, n=2, seed=7, negative_prompt="fog", width=768)
        made = await provider.generate(request, model=MODEL, call=Call())

    [asked] = upstream.calls
    assert (asked.model, asked.seed, asked.n) == (MODEL, 7, 2)
    assert (asked.width, asked.height) == (768, 1024)
    assert asked.fields["negative"]["inputs"]["text"] == "fog"
    assert len(made.images) == 2
    assert made.upstream_id == asked.id


async def test_two_requests_without_a_seed_draw_two_pictures():
    async with speaking_to(ComfyUIFake()) as (upstream, provider):
        for _ in range(2):
            await provider.generate(REQUEST, model=MODEL, call=Call())

    assert upstream.calls[0].seed != upstream.calls[1].seed


async def test_the_operators_graph_has_its_places_filled(workflow):
    file = workflow(WORKFLOW)
    async with speaking_to(ComfyUIFake(), workflow_file=file) as (upstream, provider):
        await provider.generate(replace(REQUEST, seed=7), model="any", call=Call())

    [asked] = upstream.calls
    assert asked.prompt == f"Masterpiece, {REQUEST.prompt}"
    assert asked.model == "own.sft"
    assert (asked.width, asked.height, asked.n, asked.seed) == (1024, 1024, 1, 7)


async def test_a_place_for_what_the_request_has_not_is_a_refusal(workflow):
    load = {"class_type": "LoadImage", "inputs": {"image": "%image_1%"}}
    file = workflow({**WORKFLOW, "6": load})
    async with speaking_to(ComfyUIFake(), workflow_file=file) as (upstream, provider):
        error = await refused(provider.generate(REQUEST, model="any", call=Call()))

    assert isinstance(error, ProviderRefused)
    assert "image_1" in str(error)
    assert upstream.calls == []


async def test_images_are_uploaded_under_names_of_their_own():
    async with speaking_to(ComfyUIFake()) as (upstream, provider):
        call = Call(images=[OTHER], mask=MASK)
        await provider.generate(REQUEST, model=MODEL, call=call)
        await provider.generate(REQUEST, model=MODEL, call=Call(images=[INPUT]))

    names = list(upstream.uploads)
    assert len(names) == 3
    assert [name.rpartition(".")[2] for name in names] == ["jpeg", "png", "png"]
    assert upstream.calls[0].images == [OTHER.data]


async def test_files_behind_a_proxy_are_read_with_the_key_of_the_rest():
    upstream = ComfyUIFake(password="user:secret")
    async with speaking_to(upstream, key="user:secret") as (_, provider):
        made = await provider.generate(REQUEST, model=MODEL, call=Call())

    assert len(made.images) == 1


async def test_a_graph_that_the_server_does_not_take_is_the_operators(workflow):
    wrong = {"class_type": "KSampler", "inputs": {"seed": "%seed%"}}
    file = workflow({**WORKFLOW, "5": wrong})
    async with speaking_to(ComfyUIFake(), workflow_file=file) as (_, provider):
        error = await refused(provider.generate(REQUEST, model="any", call=Call()))

    assert error.code == "provider_invalid_request"


async def test_a_prompt_in_the_queue_is_waited_for():
    upstream = ComfyUIFake(takes=timedelta(seconds=0.8))
    async with speaking_to(upstream) as (_, provider):
        made = await provider.generate(REQUEST, model=MODEL, call=Call())

    assert len(made.images) == 1


async def test_a_prompt_in_neither_queue_nor_history_was_lost_in_a_restart():
    async with speaking_to(ComfyUIFake()) as (upstream, provider):
        error = await refused(
            provider.generate(
                REQUEST, model=MODEL, call=Call(kept_tasks=["of-yesterday"])
            )
        )

    assert isinstance(error, ProviderUnavailable)
    assert error.code == "provider_task_lost"
    assert upstream.calls == []


async def test_a_history_that_lags_behind_the_queue_is_given_a_second_look():
    async with speaking_to(ComfyUIFake()) as (upstream, provider):
        upstream.fail_with("slow_to_write")
        made = await provider.generate(REQUEST, model=MODEL, call=Call())

    assert len(made.images) == 1
