"""The adapter against a fake that OpenAI's own SDK takes for the real one."""

import asyncio
import socket
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from io import BytesIO

import pytest
from PIL import Image

from service import settings
from service.core.catalog import ProviderEntry
from service.core.errors import (
    BadOutput,
    PromptRejected,
    ProviderAmbiguous,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
)
from service.core.provider import Call, InputBytes
from service.core.requests import GenerationRequest
from service.outbound import Outbound
from tests.fakes.images import encoded, noise
from tests.fakes.openai_upstream import KEY, OpenAIUpstream
from workers.providers.openai import OpenAI

REQUEST = GenerationRequest(model="openai/any", prompt='a "blue" cube, größer')


@pytest.fixture
async def upstream():
    async with OpenAIUpstream() as running:
        yield running


@pytest.fixture
async def imitator():
    """A server that speaks OpenAI's API with models of its own."""
    async with OpenAIUpstream(compatible=True) as running:
        yield running


@pytest.fixture
async def outbound():
    async with Outbound(settings.Outbound()) as opened:
        yield opened


def entry_for(base_url: str, **options) -> ProviderEntry:
    return ProviderEntry(name="o", adapter="openai", base_url=base_url, **options)


@pytest.fixture
def provider(upstream, outbound):
    timeout = timedelta(seconds=20)
    return OpenAI(entry_for(upstream.base_url, timeout=timeout), outbound, KEY)


@pytest.fixture
def imitating(imitator, outbound):
    return OpenAI(entry_for(imitator.base_url), outbound, KEY)


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def draw(provider: OpenAI, model: str = "gpt-image-1", **fields):
    request = replace(REQUEST, **fields)
    return provider.generate(request, model=model, call=Call())


async def test_images_come_with_their_usage_and_upstream_id(provider, upstream):
    made = await draw(provider, n=3)

    assert [opened(image.data).size for image in made.images] == [(1024, 1024)] * 3
    assert made.usage["output_tokens"] == 3 * 272
    assert made.upstream_id.startswith("req_")
    assert upstream.requests[0]["prompt"] == REQUEST.prompt


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
async def test_gpt_image_sends_the_format_that_was_asked_for(provider, output_format):
    made = await draw(provider, output_format=output_format, output_compression=40)

    assert opened(made.images[0].data).format == output_format.upper()


async def test_dall_e_sends_images_and_not_links(provider, upstream):
    made = await draw(provider, "dall-e-3", width=1792, style="natural", quality="high")

    assert opened(made.images[0].data).size == (1792, 1024)
    assert made.images[0].revised_prompt == f"In detail: {REQUEST.prompt}"
    assert upstream.requests[0]["response_format"] == "b64_json"


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("gpt-image-1", None, None),
        ("gpt-image-1", "auto", "auto"),
        ("gpt-image-1", "standard", "medium"),
        ("gpt-image-1", "hd", "high"),
        ("dall-e-3", "auto", None),
        ("dall-e-3", "low", "standard"),
        ("dall-e-3", "high", "hd"),
        ("dall-e-3", "hd", "hd"),
        ("dall-e-2", "hd", None),
    ],
)
async def test_each_model_is_asked_for_quality_in_its_own_words(
    provider, upstream, model, asked, sent
):
    await draw(provider, model, quality=asked)

    assert upstream.requests[0].get("quality") == sent


@pytest.mark.parametrize(
    "model", ["gpt-image-1", "gpt-image-2", "dall-e-3", "dall-e-2"]
)
async def test_no_model_is_sent_what_it_refuses(provider, model):
    made = await draw(
        provider,
        model,
        quality="high",
        style="vivid",
        background="opaque",
        moderation="low",
        output_compression=50,
        seed=7,
        negative_prompt="fog",
        user="u1",
    )

    assert made.images


async def test_an_imitator_is_told_whatever_the_caller_said(imitating, imitator):
    made = await draw(imitating, "sd-xl", width=640, seed=7, negative_prompt="fog")

    sent = imitator.requests[0]
    assert (sent["seed"], sent["negative_prompt"]) == (7, "fog")
    assert opened(made.images[0].data).size == (640, 1024)


async def test_an_imitator_without_a_key_is_sent_none(outbound, imitator):
    keyless = OpenAI(entry_for(imitator.base_url), outbound, None)

    with pytest.raises(ProviderRefused):
        await draw(keyless)

    assert imitator.requests == []


async def test_a_link_to_the_providers_own_origin_is_followed(imitating, imitator):
    linked = await draw(imitating, "sd-xl")
    imitator.fail_with(f"url:{imitator.link_to(linked.images[0].data)}")

    made = await draw(imitating, "sd-xl")

    assert made.images[0].data == linked.images[0].data


async def test_a_data_url_is_an_image_too(imitating, imitator):
    imitator.fail_with("data_url")

    made = await draw(imitating)

    assert opened(made.images[0].data).size == (1024, 1024)


async def test_fewer_images_than_asked_are_handed_on(provider, upstream):
    upstream.fail_with("fewer")

    made = await draw(provider, n=4)

    assert len(made.images) == 1


async def test_more_images_than_asked_are_cut_off(imitating, imitator):
    imitator.fail_with('body:{"data": [{"b64_json": "YQ=="}, {"b64_json": "Yg=="}]}')

    made = await draw(imitating)

    assert [image.data for image in made.images] == [b"a"]


async def test_an_image_that_cannot_be_had_leaves_the_others(imitating, imitator):
    imitator.fail_with('body:{"data": [{"b64_json": "%%"}, 7, {"b64_json": "Yg=="}]}')

    made = await draw(imitating, n=3)

    assert [image.data for image in made.images] == [b"b"]


@pytest.mark.parametrize("fault", ["half_image", "not_an_image"])
async def test_bytes_that_are_no_image_are_left_to_the_decoder(
    provider, upstream, fault
):
    upstream.fail_with(fault)

    made = await draw(provider)

    with pytest.raises(OSError, match="image"):
        opened(made.images[0].data)


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("throttled", ProviderThrottled, "provider_throttled"),
        ("status:500", ProviderUnavailable, "provider_unavailable"),
        ("status:503", ProviderUnavailable, "provider_unavailable"),
        ("html:502", ProviderUnavailable, "provider_unavailable"),
        ("html:504", ProviderAmbiguous, "provider_ambiguous"),
        ("html:200", BadOutput, "provider_bad_output"),
        ("unauthorized", ProviderRefused, "provider_auth"),
        ("unpaid", ProviderRefused, "provider_billing"),
        ("rejected", PromptRejected, "content_policy"),
        ("rejected:content_policy_violation", PromptRejected, "content_policy"),
        ("rejected:other", ProviderRefused, "provider_invalid_request"),
        ("status:404", ProviderRefused, "provider_invalid_request"),
        ("redirect:/elsewhere", ProviderRefused, "provider_invalid_request"),
        ("reset", ProviderAmbiguous, "provider_ambiguous"),
        ("reset_midway", ProviderAmbiguous, "provider_ambiguous"),
        ("error_under_200", BadOutput, "provider_bad_output"),
        ("body:{}", BadOutput, "provider_bad_output"),
        ("body:[]", BadOutput, "provider_bad_output"),
        ("body:", BadOutput, "provider_bad_output"),
        ('body:{"data": []}', BadOutput, "provider_bad_output"),
        ('body:{"data": null}', BadOutput, "provider_bad_output"),
        ('body:{"data": [null, {}, {"url": 1}]}', BadOutput, "provider_bad_output"),
        ('body:{"data": [{"task_id": "t"}]}', BadOutput, "provider_bad_output"),
        ("not_base64", BadOutput, "provider_bad_output"),
        ("url:http://169.254.169.254/latest/", BadOutput, "provider_bad_output"),
        ("url:file:///etc/passwd", BadOutput, "provider_bad_output"),
        ("url:data:image/png;base64,%%", BadOutput, "provider_bad_output"),
        ("gzip_bomb", BadOutput, "provider_bad_output"),
        ("huge", BadOutput, "provider_bad_output"),
    ],
)
async def test_misbehavior_becomes_what_the_engine_does_next(
    provider, upstream, fault, kind, code
):
    upstream.fail_with(fault)

    with pytest.raises(kind) as failure:
        await draw(provider)

    assert type(failure.value) is kind
    assert failure.value.code == code


async def test_messages_are_ours_and_never_the_upstreams(provider, upstream):
    upstream.fail_with("rejected", "unauthorized", "unpaid", "status:500")

    for _ in range(4):
        with pytest.raises(Exception, match=r"^(the|our) ") as failure:
            await draw(provider)
        assert "sk-" not in str(failure.value)
        assert "safety" not in str(failure.value)


@pytest.mark.parametrize(
    ("fault", "seconds"), [("throttled:7", 7), ("throttled:x", None)]
)
async def test_the_wait_that_was_asked_for_is_handed_on(
    provider, upstream, fault, seconds
):
    upstream.fail_with(fault)

    with pytest.raises(ProviderThrottled) as failure:
        await draw(provider)

    wait = None if seconds is None else timedelta(seconds=seconds)
    assert failure.value.retry_after == wait


async def test_a_failure_names_the_upstreams_id(provider, upstream):
    upstream.fail_with("rejected")

    with pytest.raises(PromptRejected) as failure:
        await draw(provider)

    assert failure.value.upstream_id.startswith("req_")


async def test_images_that_cannot_be_had_are_paid_for(provider, upstream):
    upstream.fail_with("not_base64", "status:500")

    with pytest.raises(BadOutput) as unusable:
        await draw(provider)
    with pytest.raises(ProviderUnavailable) as failed:
        await draw(provider)

    assert (unusable.value.billed, failed.value.billed) == (True, False)


@pytest.mark.parametrize("fault", ["hang", "hang_midway"])
async def test_silence_past_the_timeout_may_have_been_billed(upstream, outbound, fault):
    upstream.fail_with(fault)
    entry = entry_for(upstream.base_url, timeout=timedelta(seconds=0.3))

    with pytest.raises(ProviderAmbiguous):
        await draw(OpenAI(entry, outbound, KEY))


async def test_a_provider_that_is_down_was_never_asked(outbound):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"

        with pytest.raises(ProviderUnavailable):
            await draw(OpenAI(entry_for(base_url), outbound, KEY))


async def test_a_canceled_call_ends_at_once(provider, upstream):
    upstream.fail_with("hang")
    call = asyncio.create_task(draw(provider))
    await upstream.called.wait()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


def given(image_format: str = "PNG", mode: str = "RGB") -> InputBytes:
    data = encoded(noise(64, 64, mode), image_format)
    return InputBytes(data=data, content_type=f"image/{image_format.lower()}")


def edit(provider: OpenAI, call: Call, model: str = "gpt-image-1", **fields):
    request = replace(REQUEST, **{"operation": "edit", **fields})
    return provider.generate(request, model=model, call=call)


async def test_an_edit_sends_its_image_byte_for_byte(provider, upstream):
    photo = given("JPEG")

    fields = {"moderation": "low", "user": "u", "input_fidelity": "high"}
    made = await edit(provider, Call(images=[photo]), n=2, **fields)

    [[file]] = upstream.files
    assert file.sha256 == sha256(photo.data).hexdigest()
    assert (file.name, file.content_type) == ("image", "image/jpeg")
    assert upstream.requests[0]["prompt"] == REQUEST.prompt
    assert upstream.requests[0]["input_fidelity"] == "high"
    assert len(made.images) == 2


async def test_many_images_come_in_order_with_their_mask_last(provider, upstream):
    photos, mask = [given(), given("WEBP"), given("JPEG")], given(mode="RGBA")

    await edit(provider, Call(images=photos, mask=mask))

    sent = [(file.name, file.sha256) for file in upstream.files[0]]
    expected = [*(("image[]", photo) for photo in photos), ("mask", mask)]
    assert sent == [(name, sha256(i.data).hexdigest()) for name, i in expected]


async def test_an_imitator_hears_more_of_an_edit(imitating, imitator):
    await edit(imitating, Call(images=[given()]), "qwen-edit", seed=7, quality="high")

    assert imitator.requests[0]["seed"] == "7"
    assert imitator.requests[0]["response_format"] == "b64_json"


async def test_a_variation_has_no_words(provider, upstream):
    call = Call(images=[given(), given("JPEG")])

    made = await edit(
        provider, call, "dall-e-2", operation="variation", width=256, height=256, n=3
    )

    assert len(made.images) == 3
    assert upstream.requests == [
        {"model": "dall-e-2", "n": 3, "size": "256x256", "response_format": "b64_json"}
    ]
    assert [file.name for file in upstream.files[0]] == ["image"]


async def test_an_edit_that_is_refused_costs_nothing(provider):
    with pytest.raises(ProviderRefused) as refusal:
        await edit(provider, Call(images=[given("WEBP")]), "dall-e-2")

    assert refusal.value.code == "provider_invalid_request"
    assert not refusal.value.billed


async def test_an_edit_cut_off_may_have_been_billed(provider, upstream):
    upstream.fail_with("reset")

    with pytest.raises(ProviderAmbiguous):
        await edit(provider, Call(images=[given()]))
