"""What every adapter does alike, over contract fakes of all providers.

What a provider has for itself (how it words sizes, costs or refusals) stands in the
adapter's own file of tests.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image

from service import settings
from service.core.errors import (
    BadOutput,
    PromptRejected,
    ProviderAmbiguous,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
)
from service.core.provider import Call
from service.outbound import Outbound
from tests.fakes.upstreams import FAKES
from tests.fakes.upstreams.calling import INPUT, MASK, REQUEST, refused
from tests.fakes.upstreams.easel import EaselFake

UPSTREAMS = (*FAKES, EaselFake)  # the last one's adapter is shown in the documents


def having(trait: str):
    """Leave out providers without it."""
    fakes = [kind for kind in UPSTREAMS if getattr(kind, trait)]
    return pytest.mark.parametrize(
        "upstream", fakes, ids=[kind.adapter for kind in fakes], indirect=True
    )


@pytest.fixture(params=UPSTREAMS, ids=lambda kind: kind.adapter)
async def upstream(request):
    async with request.param() as running:
        yield running


@pytest.fixture
async def outbound():
    async with Outbound(settings.Outbound()) as opened:
        yield opened


@pytest.fixture
def provider(upstream, outbound):
    return upstream.provider(outbound)


class Books:
    """The record of one job, as far as a call needs it."""

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.kept = asyncio.Event()

    async def keep(self, tasks) -> None:
        self.tasks = list(tasks)
        self.kept.set()

    def call(self, **more) -> Call:
        return Call(kept_tasks=tuple(self.tasks), keep_tasks=self.keep, **more)


def size_of(data: bytes) -> tuple[int, int]:
    image = Image.open(BytesIO(data))
    image.load()
    return image.size


async def test_a_prompt_becomes_an_image(upstream, provider):
    made = await provider.generate(REQUEST, model=upstream.model, call=Call())

    [image] = made.images
    [asked] = upstream.calls
    assert asked.prompt == REQUEST.prompt
    assert size_of(image.data) == (asked.width, asked.height)


async def test_as_many_images_come_as_were_asked_for(upstream, provider):
    request = replace(REQUEST, n=3)

    made = await provider.generate(request, model=upstream.model, call=Call())

    assert len(made.images) == 3
    assert sum(asked.n for asked in upstream.calls) == 3
    assert len({image.data for image in made.images}) == 3


@pytest.mark.parametrize(("width", "height"), [(1024, 1024), (1344, 768), (768, 1152)])
async def test_the_shape_asked_for_is_kept(upstream, provider, width, height):
    request = replace(REQUEST, width=width, height=height)

    await provider.generate(request, model=upstream.model, call=Call())

    [asked] = upstream.calls
    assert asked.width / asked.height == pytest.approx(width / height, rel=0.06)


@having("edits")
async def test_an_edit_sends_the_images_along(upstream, provider):
    request = replace(REQUEST, operation="edit")
    model = upstream.edit_model or upstream.model

    made = await provider.generate(request, model=model, call=Call(images=[INPUT]))

    [asked] = upstream.calls
    assert len(made.images) == 1
    assert [size_of(data) for data in asked.images] == [(64, 64)]


@having("masks")
async def test_a_mask_goes_along_with_its_image(upstream, provider):
    request = replace(REQUEST, operation="edit")
    model = upstream.mask_model or upstream.edit_model or upstream.model

    call = Call(images=[INPUT], mask=MASK)
    await provider.generate(request, model=model, call=call)

    [asked] = upstream.calls
    assert asked.mask == MASK.data


@having("refuses")
async def test_a_refused_prompt_is_the_callers_and_costs_no_other_call(
    upstream, provider
):
    upstream.fail_with("rejected")

    error = await refused(provider.generate(REQUEST, model=upstream.model, call=Call()))

    assert isinstance(error, PromptRejected)
    assert len(upstream.calls) == 1


@pytest.mark.parametrize(("fault", "wait_s"), [("throttled", None), ("throttled:7", 7)])
async def test_a_throttled_call_says_when_to_come_back(
    upstream, provider, fault, wait_s
):
    upstream.fail_with(fault)

    error = await refused(provider.generate(REQUEST, model=upstream.model, call=Call()))

    assert isinstance(error, ProviderThrottled)
    wait = None if wait_s is None else timedelta(seconds=wait_s)
    assert error.retry_after == wait


@pytest.mark.parametrize(
    ("fault", "code"),
    [("unauthorized", "provider_auth"), ("unpaid", "provider_billing")],
)
async def test_a_key_that_does_not_work_is_the_operators(
    upstream, provider, fault, code
):
    upstream.fail_with(fault)

    error = await refused(provider.generate(REQUEST, model=upstream.model, call=Call()))

    assert isinstance(error, ProviderRefused)
    assert error.code == code


@having("needs_key")
async def test_a_wrong_key_is_refused(upstream, outbound):
    provider = upstream.provider(outbound, "another")

    error = await refused(provider.generate(REQUEST, model=upstream.model, call=Call()))

    assert error.code == "provider_auth"


@pytest.mark.parametrize("fault", ["status:500", "overloaded", "html:502"])
async def test_a_server_that_fails_may_work_later(upstream, provider, fault):
    upstream.fail_with(fault)

    error = await refused(provider.generate(REQUEST, model=upstream.model, call=Call()))

    assert isinstance(error, ProviderUnavailable)


async def test_nobody_there_is_no_money_spent(upstream, outbound):
    provider = upstream.provider(outbound, base_url="http://127.0.0.1:1")

    error = await refused(provider.generate(REQUEST, model=upstream.model, call=Call()))

    assert isinstance(error, ProviderUnavailable)


@pytest.mark.parametrize("fault", ["hang", "hang_midway", "reset", "reset_midway"])
async def test_a_request_without_an_answer_may_have_been_billed(
    upstream, outbound, fault
):
    upstream.fail_with(fault)
    provider = upstream.provider(outbound, timeout=timedelta(seconds=0.2))

    error = await refused(provider.generate(REQUEST, model=upstream.model, call=Call()))

    assert isinstance(error, ProviderAmbiguous)


async def test_an_endless_answer_is_cut(upstream, provider):
    upstream.fail_with("huge")

    error = await refused(provider.generate(REQUEST, model=upstream.model, call=Call()))

    assert isinstance(error, BadOutput)


async def test_an_empty_result_is_no_image(upstream, provider):
    upstream.fail_with("empty")

    error = await refused(provider.generate(REQUEST, model=upstream.model, call=Call()))

    assert isinstance(error, BadOutput)


@pytest.mark.parametrize("fault", ["half_image", "not_an_image"])
async def test_whatever_bytes_come_are_passed_on_to_be_decoded(
    upstream, provider, fault
):
    upstream.fail_with(fault)

    made = await provider.generate(REQUEST, model=upstream.model, call=Call())

    with pytest.raises(
        OSError, match=r"truncated|cannot identify|broken|could not create"
    ):
        size_of(made.images[0].data)


@having("links")
async def test_a_result_url_that_leads_inside_is_not_followed(upstream, provider):
    knocks = list[str]()

    async def answer(_, writer):
        knocks.append("knock")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as inside:
        port = inside.sockets[0].getsockname()[1]
        upstream.fail_with(f"link:http://127.0.0.1:{port}/inside.png")
        error = await refused(
            provider.generate(REQUEST, model=upstream.model, call=Call())
        )

    assert isinstance(error, BadOutput)
    assert error.billed
    assert not knocks


@having("tasks")
async def test_a_task_is_on_record_before_anybody_looks_at_it(upstream, provider):
    books = Books()

    await provider.generate(REQUEST, model=upstream.model, call=books.call())

    assert len(books.tasks) == 1
    assert upstream.looks


@having("tasks")
async def test_whoever_comes_after_a_crash_buys_nothing(upstream, provider):
    upstream.takes = timedelta(seconds=0.3)
    books = Books()
    crashed = asyncio.create_task(
        provider.generate(REQUEST, model=upstream.model, call=books.call())
    )
    await books.kept.wait()
    crashed.cancel()

    made = await provider.generate(REQUEST, model=upstream.model, call=books.call())

    assert len(made.images) == 1
    assert len(upstream.calls) == 1


@having("tasks")
async def test_a_task_that_the_provider_lost_is_said_to_be_lost(upstream, provider):
    upstream.fail_with("lost")

    error = await refused(provider.generate(REQUEST, model=upstream.model, call=Call()))

    assert isinstance(error, ProviderUnavailable)
    assert error.code == "provider_task_lost"


@having("tasks")
async def test_a_task_that_failed_may_work_later(upstream, provider):
    upstream.fail_with("failed")

    error = await refused(provider.generate(REQUEST, model=upstream.model, call=Call()))

    assert isinstance(error, ProviderUnavailable)
