"""Fakes of providers without an SDK answer the examples that their documents give.

Each request has the fields of a documented one, and comes from a client that knows
nothing of the adapter; each answer must have what the documents say to read from it.
"""

import base64
from io import BytesIO

import httpx
import pytest
from PIL import Image

from tests.fakes.pictures import draw
from tests.fakes.upstreams.bfl import BFLFake
from tests.fakes.upstreams.comfyui import ComfyUIFake
from tests.fakes.upstreams.deepinfra import DeepInfraFake
from tests.fakes.upstreams.horde import HordeFake
from tests.fakes.upstreams.ideogram import IdeogramFake
from tests.fakes.upstreams.runware import RunwareFake
from tests.fakes.upstreams.stability import StabilityFake
from tests.fakes.upstreams.words import KEY

PICTURE = draw("to start from", width=64, height=64)


@pytest.fixture
async def http():
    async with httpx.AsyncClient() as client:
        yield client


def size_of(data: bytes) -> tuple[int, int]:
    image = Image.open(BytesIO(data))
    image.load()
    return image.size


async def test_black_forest_labs_quick_start(http):
    async with BFLFake() as fake:
        request = {"prompt": "A cat on its back legs", "width": 1024, "height": 1024}
        headers = {"x-key": KEY, "accept": "application/json"}
        submitted = await http.post(
            f"{fake.origin}/v1/flux-2-pro", headers=headers, json=request
        )
        polled = await http.get(submitted.json()["polling_url"], headers=headers)
        picture = await http.get(polled.json()["result"]["sample"])

    assert polled.json()["status"] == "Ready"
    assert size_of(picture.content) == (1024, 1024)


async def test_black_forest_labs_errors(http):
    async with BFLFake() as fake:
        unknown = await http.get(
            f"{fake.origin}/v1/get_result?id=1", headers={"x-key": KEY}
        )
        invalid = await http.post(
            f"{fake.origin}/v1/flux-2-pro",
            headers={"x-key": KEY},
            json={"prompt": "a", "width": 30},
        )

    assert unknown.json()["status"] == "Task not found"
    assert invalid.status_code == 422
    assert isinstance(invalid.json()["detail"], list)


async def test_stability_generates_with_a_dummy_file(http):
    async with StabilityFake() as fake:
        answer = await http.post(
            f"{fake.origin}/v2beta/stable-image/generate/core",
            headers={"authorization": f"Bearer {KEY}", "accept": "image/*"},
            files={"none": ""},
            data={"prompt": "Lighthouse on a cliff", "output_format": "webp"},
        )

    assert answer.headers["finish-reason"] == "SUCCESS"
    assert size_of(answer.content) == (1024, 1024)


async def test_stability_inpaints(http):
    async with StabilityFake() as fake:
        answer = await http.post(
            f"{fake.origin}/v2beta/stable-image/edit/inpaint",
            headers={"authorization": f"Bearer {KEY}", "accept": "image/*"},
            files={"image": PICTURE, "mask": PICTURE},
            data={"prompt": "dog wearing black glasses", "output_format": "webp"},
        )
        fake.fail_with("rejected")
        refused = await http.post(
            f"{fake.origin}/v2beta/stable-image/generate/core",
            headers={"authorization": f"Bearer {KEY}", "accept": "image/*"},
            files={"none": ""},
            data={"prompt": "a"},
        )

    assert size_of(answer.content) == (64, 64)
    assert refused.json()["name"] == "content_moderation"
    assert {"id", "name", "errors"} <= set(refused.json())


async def test_ideogram_3_generates(http):
    async with IdeogramFake() as fake:
        answer = await http.post(
            f"{fake.origin}/v1/ideogram-v3/generate",
            headers={"Api-Key": KEY},
            files={
                "prompt": (None, "A picture of a cat"),
                "rendering_speed": (None, "TURBO"),
            },
        )
        [item] = answer.json()["data"]
        picture = await http.get(item["url"])

    assert {"prompt", "resolution", "is_image_safe", "seed", "url"} <= set(item)
    assert size_of(picture.content) == tuple(map(int, item["resolution"].split("x")))


async def test_runware_infers_an_image(http):
    async with RunwareFake() as fake:
        task = {
            "taskType": "imageInference",
            "taskUUID": "39d7207a-87ef-4c93-8082-1431f9c1dc97",
            "positivePrompt": "a cat",
            "width": 512,
            "height": 512,
            "model": "civitai:102438@133677",
            "numberResults": 1,
        }
        answer = await http.post(
            fake.base_url, headers={"Authorization": f"Bearer {KEY}"}, json=[task]
        )
        stranger = await http.post(
            fake.base_url, headers={"Authorization": "Bearer x"}, json=[task]
        )

    [item] = answer.json()["data"]
    assert item["taskUUID"] == task["taskUUID"]
    assert stranger.json()["errors"][0]["code"] == "invalidApiKey"


async def test_deepinfra_infers_from_a_prompt_alone(http):
    async with DeepInfraFake() as fake:
        answer = await http.post(
            f"{fake.origin}/v1/inference/black-forest-labs/FLUX-1-schnell",
            headers={"Authorization": f"bearer {KEY}"},
            json={"prompt": "A photo of an astronaut riding a horse on Mars."},
        )

    body = answer.json()
    _, _, text = body["images"][0].partition(";base64,")
    assert size_of(base64.b64decode(text)) == (1024, 1024)
    assert {"request_id", "inference_status"} <= set(body)
    assert body["inference_status"]["cost"] > 0


async def test_ai_horde_draws_asynchronously(http):
    async with HordeFake() as fake:
        api, headers = f"{fake.base_url}/v2/generate", {"apikey": KEY}
        request = {
            "prompt": "a cube",
            "params": {
                "cfg_scale": 7.5,
                "sampler_name": "k_euler_a",
                "height": 512,
                "width": 512,
                "steps": 30,
                "n": 1,
            },
            "nsfw": False,
            "censor_nsfw": False,
            "r2": True,
            "models": ["Deliberate"],
        }
        submitted = await http.post(f"{api}/async", headers=headers, json=request)
        checked = await http.get(f"{api}/check/{submitted.json()['id']}")
        status = await http.get(f"{api}/status/{submitted.json()['id']}")
        [made] = status.json()["generations"]
        picture = await http.get(made["img"])

    assert submitted.status_code == 202
    assert (checked.json()["done"], checked.json()["faulted"]) == (True, False)
    assert size_of(picture.content) == (512, 512)


async def test_comfyui_draws_its_first_example(http):
    graph = {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "cfg": 8,
                "denoise": 1,
                "latent_image": ["5", 0],
                "model": ["4", 0],
                "negative": ["7", 0],
                "positive": ["6", 0],
                "sampler_name": "euler",
                "scheduler": "normal",
                "seed": 8566257,
                "steps": 20,
            },
        },
        "4": {
            "class_type": "CheckpointLoaderSimple",
            "inputs": {"ckpt_name": "v1-5-pruned-emaonly.safetensors"},
        },
        "5": {
            "class_type": "EmptyLatentImage",
            "inputs": {"batch_size": 1, "height": 512, "width": 512},
        },
        "6": {
            "class_type": "CLIPTextEncode",
            "inputs": {"clip": ["4", 1], "text": "masterpiece best quality girl"},
        },
        "7": {
            "class_type": "CLIPTextEncode",
            "inputs": {"clip": ["4", 1], "text": "bad hands"},
        },
        "8": {
            "class_type": "VAEDecode",
            "inputs": {"samples": ["3", 0], "vae": ["4", 2]},
        },
        "9": {
            "class_type": "SaveImage",
            "inputs": {"filename_prefix": "ComfyUI", "images": ["8", 0]},
        },
    }
    async with ComfyUIFake() as fake:
        queued = await http.post(f"{fake.origin}/prompt", json={"prompt": graph})
        prompt = queued.json()["prompt_id"]
        history = (await http.get(f"{fake.origin}/history/{prompt}")).json()[prompt]
        [*_, file] = history["outputs"]["save"]["images"]
        picture = await http.get(f"{fake.origin}/view", params=file)

    assert history["status"]["status_str"] == "success"
    assert size_of(picture.content) == (512, 512)
