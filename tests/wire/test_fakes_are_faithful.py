"""Each fake of a provider is taken for the real one by the provider's own SDK.

The SDKs are unmodified and know nothing of us: they get the address of the fake and
a key, and must come back with images, or with their own error for what is wrong.
"""

import asyncio
import base64
import contextlib
import gc
import json
import os
import sys
from io import BytesIO

import boto3
import openai
import pytest
import replicate
import together
from botocore.config import Config
from botocore.exceptions import ClientError
from google import genai
from google.genai import errors as genai_errors
from google.genai import types
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from openrouter import OpenRouter
from openrouter import errors as openrouter_errors
from PIL import Image
from replicate.exceptions import ModelError, ReplicateError
from webuiapi import WebUIApi

from tests.fakes.certificate import make_certificate
from tests.fakes.pictures import draw
from tests.fakes.upstreams.a1111 import A1111Fake
from tests.fakes.upstreams.azure_openai import AzureOpenAIFake
from tests.fakes.upstreams.bedrock import BedrockFake
from tests.fakes.upstreams.fal import FalFake
from tests.fakes.upstreams.gemini import GeminiFake
from tests.fakes.upstreams.huggingface import HuggingFaceFake
from tests.fakes.upstreams.openrouter import OpenRouterFake
from tests.fakes.upstreams.replicate import ReplicateFake
from tests.fakes.upstreams.together import TogetherFake
from tests.fakes.upstreams.vertex_imagen import VertexImagenFake
from tests.fakes.upstreams.words import KEY
from tests.fakes.upstreams.xai import XAIFake

pytestmark = [
    # What the SDKs do to others, or say of their own future, is theirs.
    pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The generate_images method"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PICTURE = draw("to start from", width=64, height=64)


@pytest.fixture(autouse=True)
def _sockets_left_open():
    """Close what an SDK leaves open here, and not in the midst of other tests."""
    yield
    gc.collect()


def size_of(data: bytes) -> tuple[int, int]:
    image = Image.open(BytesIO(data))
    image.load()
    return image.size


def gemini(origin: str, key: str = KEY):
    options = types.HttpOptions(base_url=origin)
    return genai.Client(api_key=key, http_options=options).aio


def vertex(origin: str):
    options = types.HttpOptions(base_url=origin)
    return genai.Client(vertexai=True, api_key=KEY, http_options=options).aio


def openai_at(base_url: str):
    return openai.AsyncOpenAI(api_key=KEY, base_url=base_url, max_retries=0)


def together_at(base_url: str):
    return together.AsyncTogether(api_key=KEY, base_url=base_url, max_retries=0)


def drawing(ratio: str) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        response_modalities=["TEXT", "IMAGE"],
        image_config=types.ImageConfig(aspect_ratio=ratio, image_size="2K"),
    )


async def test_google_genai_draws_and_edits_with_gemini():
    async with GeminiFake() as fake, gemini(fake.origin) as client:
        parts = [types.Part.from_bytes(data=PICTURE, mime_type="image/png"), "a cube"]
        answer = await client.models.generate_content(
            model=fake.model, contents=parts, config=drawing("16:9")
        )

    inline = [part.inline_data for part in answer.parts if part.inline_data]
    assert size_of(inline[0].data) == (2688, 1536)
    assert fake.calls[0].images == [PICTURE]
    assert answer.usage_metadata.total_token_count == 1297


async def test_google_genai_reads_geminis_refusals():
    async with (
        GeminiFake() as fake,
        gemini(fake.origin) as client,
        gemini(fake.origin, "another") as stranger,
    ):
        fake.fail_with("rejected", "throttled:34")
        refused = await client.models.generate_content(
            model=fake.model, contents="a", config=drawing("1:1")
        )
        with pytest.raises(genai_errors.ClientError) as throttled:
            await client.models.generate_content(
                model=fake.model, contents="a", config=drawing("1:1")
            )
        with pytest.raises(genai_errors.ClientError) as unknown:
            await stranger.models.generate_content(
                model=fake.model, contents="a", config=drawing("1:1")
            )

    assert refused.prompt_feedback.block_reason.value == "PROHIBITED_CONTENT"
    assert throttled.value.status == "RESOURCE_EXHAUSTED"
    assert unknown.value.code == 400


async def test_google_genai_draws_with_imagen():
    async with VertexImagenFake() as fake, vertex(fake.origin) as client:
        config = types.GenerateImagesConfig(
            number_of_images=2, aspect_ratio="16:9", include_rai_reason=True
        )
        answer = await client.models.generate_images(
            model=fake.model, prompt="a cube", config=config
        )
        fake.fail_with("rejected")
        refused = await client.models.generate_images(
            model=fake.model, prompt="a", config=config
        )

    sizes = [size_of(item.image.image_bytes) for item in answer.generated_images]
    assert sizes == [(1408, 768)] * 2
    assert "58061214" in refused.generated_images[0].rai_filtered_reason


async def test_replicate_waits_for_a_prediction():
    async with ReplicateFake() as fake:
        client = replicate.Client(api_token=KEY, base_url=fake.origin)
        prediction = await client.models.predictions.async_create(
            model=("black-forest-labs", "flux-2-pro"),
            input={"prompt": "a cube", "aspect_ratio": "16:9"},
        )
        await prediction.async_wait()

    assert prediction.status == "succeeded"
    assert prediction.output[0].startswith(fake.origin)
    assert (fake.calls[0].width, fake.calls[0].height) == (1344, 768)


async def test_replicate_raises_what_went_wrong():
    async with ReplicateFake() as fake:
        client = replicate.Client(api_token=KEY, base_url=fake.origin)
        fake.fail_with("failed", "unpaid")
        with pytest.raises(ModelError, match="CUDA"):
            await client.async_run(fake.model, input={"prompt": "a"})
        with pytest.raises(ReplicateError) as unpaid:
            await client.async_run(fake.model, input={"prompt": "a"})

    assert unpaid.value.status == 402


_FAL = """
import fal_client, json, sys
def text(of): return json.dumps(of)
client = fal_client.SyncClient(key=sys.argv[1])
made = client.subscribe("fal-ai/flux-2", {"prompt": "a cube", "num_images": 2})
handle = client.submit("fal-ai/flux-2", {"prompt": "a violent cube"})
try:
    handle.get()
except fal_client.FalClientHTTPError as exc:
    error = [exc.status_code, exc.response.json()["detail"][0]["type"]]
print(text({"made": made, "error": error, "request": handle.request_id}))
"""


async def test_fal_client_follows_the_queue(tmp_path):
    certificate = make_certificate(tmp_path)
    async with FalFake(tls=certificate) as fake:
        fake.fail_later(1, "rejected")
        host = fake.origin.removeprefix("https://")
        script = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _FAL,
            KEY,
            stdout=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "FAL_QUEUE_RUN_HOST": host,
                "FAL_RUN_HOST": host,
                "SSL_CERT_FILE": str(certificate),
            },
        )
        told, _ = await script.communicate()

    said = json.loads(told)
    assert [image["width"] for image in said["made"]["images"]] == [1024, 1024]
    assert said["error"] == [422, "content_policy_violation"]
    assert said["request"] == fake.calls[1].id


async def test_together_reads_both_kinds_of_items():
    async with TogetherFake() as fake, together_at(fake.base_url) as client:
        inline = await client.images.generate(
            model=fake.model, prompt="a cube", response_format="base64", n=2
        )
        linked = await client.images.generate(model=fake.model, prompt="a cube")
        fake.fail_with("rejected")
        with pytest.raises(together.UnprocessableEntityError):
            await client.images.generate(model=fake.model, prompt="a")

    assert size_of(base64.b64decode(inline.data[0].b64_json)) == (1024, 1024)
    assert linked.data[0].url.startswith(fake.origin)


async def test_openai_draws_and_edits_on_azure():
    async with (
        AzureOpenAIFake() as fake,
        openai.AsyncOpenAI(
            api_key="of another kind",
            default_headers={"api-key": KEY},
            base_url=fake.base_url,
            max_retries=0,
        ) as client,
    ):
        drawn = await client.images.generate(
            model="images-eu", prompt="a cube", size="1536x1024", n=2
        )
        edited = await client.images.edit(
            model="images-eu", prompt="blue", image=("a.png", PICTURE, "image/png")
        )
        fake.fail_with("filtered")
        with pytest.raises(openai.BadRequestError) as filtered:
            await client.images.generate(model="images-eu", prompt="a")
        with pytest.raises(openai.NotFoundError):
            await client.images.generate(model="gpt-image-2", prompt="a")

    sizes = [size_of(base64.b64decode(item.b64_json)) for item in drawn.data]
    assert sizes == [(1536, 1024)] * 2
    assert len(edited.data) == 1
    assert filtered.value.body["inner_error"]["code"] == "ResponsibleAIPolicyViolation"


async def test_openai_draws_with_xai():
    async with XAIFake() as fake, openai_at(fake.base_url) as client:
        made = await client.images.generate(
            model=fake.model,
            prompt="a cube",
            n=2,
            response_format="b64_json",
            extra_body={"aspect_ratio": "16:9"},
        )
        fake.fail_with("rejected")
        with pytest.raises(openai.BadRequestError):
            await client.images.generate(model=fake.model, prompt="a")

    assert size_of(base64.b64decode(made.data[1].b64_json)) == (1280, 720)
    assert made.data[0].revised_prompt == "In detail: a cube"


async def test_openrouter_draws_from_words_and_images():
    async with (
        OpenRouterFake() as fake,
        OpenRouter(api_key=KEY, server_url=fake.base_url) as client,
    ):
        picture = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
        made = await client.images.generate_async(
            model=fake.model,
            prompt="a cube",
            aspect_ratio="16:9",
            resolution="2K",
            n=2,
            input_references=[{"type": "image_url", "image_url": {"url": picture}}],
        )
        fake.fail_with("rejected", "unpaid")
        with pytest.raises(openrouter_errors.ForbiddenResponseError):
            await client.images.generate_async(model=fake.model, prompt="a")
        with pytest.raises(openrouter_errors.PaymentRequiredResponseError):
            await client.images.generate_async(model=fake.model, prompt="a")

    sizes = [size_of(base64.b64decode(item.b64_json)) for item in made.data]
    assert sizes == [(2688, 1536)] * 2
    assert fake.calls[0].images == [PICTURE]
    assert made.usage.cost == 0.0387


async def test_webuiapi_draws_and_inpaints():
    async with A1111Fake() as fake:
        client = await asyncio.to_thread(
            WebUIApi,
            baseurl=f"{fake.origin}/sdapi/v1",
            username="user",
            password=KEY,
        )
        photo = Image.open(BytesIO(PICTURE))
        drawn = await asyncio.to_thread(
            client.txt2img, prompt="a cube", width=768, height=512, batch_size=2
        )
        filled = await asyncio.to_thread(
            client.img2img, [photo], mask_image=photo, width=64, height=64
        )
        fake.fail_with("status:500")
        with pytest.raises(RuntimeError):
            await asyncio.to_thread(client.txt2img, prompt="a")
        client.session.close()

    assert [image.size for image in drawn.images] == [(768, 512)] * 2
    assert filled.image.size == (64, 64)
    assert fake.calls[1].mask is not None


async def test_huggingface_hub_gets_a_picture():
    async with HuggingFaceFake() as fake:
        client = InferenceClient(
            model=f"{fake.base_url}/models/{fake.model}", token=KEY
        )
        image = await asyncio.to_thread(
            client.text_to_image, "a cube", width=512, height=256, seed=1
        )
        fake.fail_with("throttled")
        with pytest.raises(HfHubHTTPError) as throttled:
            await asyncio.to_thread(client.text_to_image, "a cube")

    assert image.size == (512, 256)
    assert throttled.value.response.status_code == 429


async def test_boto3_invokes_bedrocks_models(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", KEY)
    certificate = make_certificate(tmp_path)
    async with BedrockFake(tls=certificate) as fake:
        client = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=fake.origin,
            verify=str(certificate),
            config=Config(retries={"max_attempts": 0}),
        )
        with contextlib.closing(client):
            body = {"prompt": "a cube", "aspect_ratio": "16:9", "output_format": "png"}
            answer = await asyncio.to_thread(
                client.invoke_model, modelId=fake.model, body=json.dumps(body)
            )
            made = json.loads(answer["body"].read())
            fake.fail_with("throttled")
            with pytest.raises(ClientError) as throttled:
                await asyncio.to_thread(
                    client.invoke_model, modelId=fake.model, body=json.dumps(body)
                )

    assert size_of(base64.b64decode(made["images"][0])) == (1344, 768)
    assert throttled.value.response["Error"]["Code"] == "ThrottlingException"
