"""One attempt: routes, receipts, stores that are away, pictures that are none."""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from service.core.catalog import parse_catalog
from service.core.errors import (
    PromptRejected,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
    StoreUnavailable,
)
from service.core.jobs import JobId, JobState, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.core.retries import RetryPolicy
from service.image_store.local import LocalImageStore
from service.imaging import Imaging
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.outcomes import Later, Outcome
from tests.fakes.images import encoded, noise
from tests.fakes.providers import ScriptedProvider
from workers.context import WorkerContext
from workers.generate import generate
from workers.inputs import Inputs
from workers.partials import Partials

CATALOG = """
[providers.cheap]
adapter = "openai"
base_url = "http://cheap.invalid"
[providers.dear]
adapter = "openai"
base_url = "http://dear.invalid"
[models."fox/one"]
routes = ["cheap/fox", "dear/fox"]
sizes = ["64x64"]
max_n = 4
price_usd = 0.25
[models."fox/table"]
routes = ["cheap/fox"]
sizes = ["64x64"]
price_usd = { low = 0.1, default = 0.3 }
[models."fox/unpriced"]
routes = ["cheap/fox"]
sizes = ["64x64"]
"""
PICTURE = encoded(noise(64, 64), "PNG")


class AbsentStore:
    """A store that is away for some calls and then keeps what it is given."""

    def __init__(self, store: LocalImageStore, *, away: int) -> None:
        self._store, self.away = store, away

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        await self._store.put(key, data, content_type=content_type)

    async def get(self, key: str) -> bytes | None:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        return await self._store.get(key)


@pytest.fixture
def images(tmp_path: Path) -> LocalImageStore:
    return LocalImageStore(
        tmp_path,
        base_url="http://127.0.0.1",
        secret=b"s" * 32,
        lifetime=timedelta(hours=1),
    )


@pytest.fixture
async def imaging() -> Iterator[Imaging]:
    pool = Imaging(processes=1)
    yield pool
    await pool.close()


@pytest.fixture
def context(images, imaging, redis):
    def build(store=images, **providers: ScriptedProvider) -> dict:
        worker = WorkerContext(
            catalog=parse_catalog(CATALOG, file="test"),
            leases=Leases(redis, worker="w", slots=1),
            providers=providers,
            images=store,
            imaging=imaging,
            inputs=Inputs(store, imaging, most_bytes=1_000_000),
            partials=Partials(redis, store, imaging),
            retries=RetryPolicy(max_attempts=3),
            attempt_timeout=timedelta(seconds=0.5),
            dice=lambda: 0.5,
        )
        return {"worker": worker}

    return build


def lease(n: int = 1, output_format: str = "png", **changes: object) -> Lease:
    request = GenerationRequest(
        model="fox/one", prompt="a “fox” — ein Fuchs", n=n, output_format=output_format
    )
    plain = Lease(
        job_id=new_job_id(),
        fence=1,
        payload=orjson.dumps(request.to_record()),
        attempts=0,
        interruptions=0,
        priority=Priority.NORMAL,
        account="ada",
        taken_at=0.0,
    )
    return replace(plain, **changes)


async def test_the_images_are_stored_and_described(context, images):
    held = lease(n=2)

    done = await generate(context(cheap=ScriptedProvider(picture=PICTURE)), held)

    assert isinstance(done, Outcome)
    assert done.state is JobState.SUCCEEDED
    assert [image.key for image in done.images] == [
        f"jobs/{held.job_id}/1/0",
        f"jobs/{held.job_id}/1/1",
    ]
    stored = await images.get(done.images[0].key)
    assert stored == PICTURE
    assert done.images[0].sha256 == hashlib.sha256(PICTURE).hexdigest()
    assert (done.images[0].width, done.images[0].height) == (64, 64)
    assert (done.cost_usd, done.cost_source) == ("0.50", "priced")
    assert done.model == "fox/one"
    assert done.error is None


@pytest.mark.parametrize(
    ("model", "quality", "reported", "cost"),
    [
        ("fox/one", None, "0.02", ("0.02", "reported")),
        ("fox/one", None, "NaN", ("0.25", "priced")),
        ("fox/one", None, "-1", ("0.25", "priced")),
        ("fox/one", None, "1e30", ("0.25", "priced")),
        ("fox/table", "low", None, ("0.1", "priced")),
        ("fox/table", "high", None, ("0.3", "estimated")),
        ("fox/unpriced", None, None, (None, None)),
    ],
)
async def test_a_cost_says_who_knows_it(context, model, quality, reported, cost):
    provider = ScriptedProvider(
        picture=PICTURE, cost_usd=None if reported is None else Decimal(reported)
    )
    request = GenerationRequest(model=model, prompt="a fox", quality=quality)

    done = await generate(
        context(cheap=provider), lease(payload=orjson.dumps(request.to_record()))
    )

    assert (done.cost_usd, done.cost_source) == cost
    assert (done.attempt.cost_usd, done.attempt.cost_source) == cost


async def test_a_later_claim_takes_the_receipt_and_calls_nobody(context):
    provider = ScriptedProvider(picture=PICTURE)
    held = lease()
    bought = await generate(context(cheap=provider), held)

    found = await generate(context(cheap=provider), replace(held, fence=3))

    assert found == bought
    assert len(provider.asked) == 1


async def test_a_store_that_is_away_is_waited_for_and_nothing_bought_again(
    context, images
):
    provider = ScriptedProvider(picture=PICTURE)
    away = AbsentStore(images, away=2)

    done = await generate(context(store=away, cheap=provider), lease())

    assert isinstance(done, Outcome)
    assert done.state is JobState.SUCCEEDED
    assert len(provider.asked) == 1


async def test_a_receipt_that_cannot_be_read_just_now_is_waited_for(context, images):
    provider = ScriptedProvider(picture=PICTURE)
    held = lease()
    await generate(context(cheap=provider), held)

    again = context(store=AbsentStore(images, away=1), cheap=provider)
    found = await generate(again, replace(held, fence=2))

    assert isinstance(found, Outcome)
    assert len(provider.asked) == 1


async def test_the_second_attempt_takes_the_next_route(context):
    cheap = ScriptedProvider(ProviderUnavailable("down"), picture=PICTURE)
    dear = ScriptedProvider(picture=PICTURE)
    worker, held = context(cheap=cheap, dear=dear), lease()

    first = await generate(worker, held)
    second = await generate(worker, replace(held, attempts=1, fence=2))

    assert isinstance(first, Later)
    assert first.attempt.provider == "cheap"
    assert first.attempt.error_code == "provider_unavailable"
    assert isinstance(second, Outcome)
    assert second.attempt.provider == "dear"


async def test_a_refusal_tries_the_next_route_at_once_and_fails_after_the_last(context):
    refusing = ScriptedProvider(
        *[ProviderRefused("no credit", code="provider_billing")] * 2, picture=PICTURE
    )
    worker, held = context(cheap=refusing, dear=refusing), lease()

    first = await generate(worker, held)
    assert isinstance(first, Later)
    last = await generate(
        worker, replace(held, attempts=1, fence=2, routes=first.routes)
    )

    assert first.wait == timedelta(0)
    assert isinstance(last, Outcome)
    assert last.error == {"code": "provider_billing", "message": "no credit"}


async def test_a_rejected_prompt_is_not_tried_elsewhere(context):
    cheap = ScriptedProvider(PromptRejected("not this"), picture=PICTURE)
    dear = ScriptedProvider(picture=PICTURE)

    done = await generate(context(cheap=cheap, dear=dear), lease())

    assert isinstance(done, Outcome)
    assert done.state is JobState.FAILED
    assert done.error == {"code": "content_policy", "message": "not this"}


async def test_a_rejected_prompt_goes_to_the_next_route_where_the_caller_wants_it(
    context,
):
    cheap = ScriptedProvider(PromptRejected("not here"), picture=PICTURE)
    dear = ScriptedProvider(PromptRejected("nor here"), picture=PICTURE)
    request = GenerationRequest(
        model="fox/one", prompt="a fox", failover_on_refusal=True
    )
    worker = context(cheap=cheap, dear=dear)
    held = lease(payload=orjson.dumps(request.to_record()))

    first = await generate(worker, held)
    assert isinstance(first, Later)
    last = await generate(
        worker, replace(held, attempts=1, fence=2, routes=first.routes)
    )

    assert (first.wait, first.routes) == (timedelta(0), ("dear/fox",))
    assert first.attempt.billed is False
    assert isinstance(last, Outcome)
    assert last.error == {"code": "content_policy", "message": "nor here"}


async def test_throttling_waits_as_long_as_the_provider_asked(context):
    asked = ProviderThrottled("busy", retry_after=timedelta(seconds=40))
    provider = ScriptedProvider(asked, picture=PICTURE)

    later = await generate(context(cheap=provider), lease())

    assert isinstance(later, Later)
    assert later.wait == timedelta(seconds=40)


async def test_a_call_without_an_answer_ends_as_ambiguous(context):
    provider = ScriptedProvider(picture=PICTURE)
    provider.gate.clear()

    later = await generate(context(cheap=provider), lease())

    assert isinstance(later, Later)
    assert later.attempt.error_code == "provider_ambiguous"


async def test_the_last_attempt_fails_the_job(context):
    provider = ScriptedProvider(ProviderUnavailable("down"), picture=PICTURE)

    done = await generate(context(cheap=provider), lease(attempts=2))

    assert isinstance(done, Outcome)
    assert done.state is JobState.FAILED
    assert done.error == {"code": "provider_unavailable", "message": "down"}


async def test_half_an_image_is_refused_and_billed(context, images):
    provider = ScriptedProvider(picture=PICTURE[: len(PICTURE) // 2])
    held = lease()

    later = await generate(context(cheap=provider), held)

    assert isinstance(later, Later)
    assert later.attempt.error_code == "provider_bad_output"
    assert later.attempt.billed is True
    assert await images.list(f"jobs/{held.job_id}/") == []


async def test_another_format_than_asked_for_is_converted(context, images):
    provider = ScriptedProvider(picture=encoded(noise(64, 64), "JPEG"))

    done = await generate(context(cheap=provider), lease(output_format="webp"))

    assert isinstance(done, Outcome)
    assert done.images[0].content_type == "image/webp"
    assert (await images.get(done.images[0].key))[8:12] == b"WEBP"


async def test_a_model_without_a_provider_fails_with_a_hint(context):
    done = await generate(context(), lease())

    assert isinstance(done, Outcome)
    assert done.error is not None
    assert done.error["code"] == "no_route"
    assert "the key is missing there, or the model is in no" in done.error["message"]


async def test_a_job_outlives_its_model_on_the_routes_it_has(context):
    provider = ScriptedProvider(picture=PICTURE)
    gone = GenerationRequest(model="fox/gone", prompt="a fox")
    held = lease(
        payload=orjson.dumps(gone.to_record()), route="dear/fox", routes=("dear/fox",)
    )

    done = await generate(context(dear=provider), held)

    assert isinstance(done, Outcome)
    assert done.state is JobState.SUCCEEDED
    assert (done.cost_usd, done.cost_source) == (None, None)


async def test_fewer_images_than_asked_for_are_a_partial_success(context):
    class Stingy(ScriptedProvider):
        async def generate(self, request, *, model, call):
            made = await super().generate(request, model=model, call=call)
            return replace(made, images=made.images[:1])

    done = await generate(context(cheap=Stingy(picture=PICTURE)), lease(n=3))

    assert isinstance(done, Outcome)
    assert done.state is JobState.SUCCEEDED
    assert len(done.images) == 1
    assert done.error == {
        "code": "partial_result",
        "message": "1 of 3 images were made",
    }


async def test_attempts_of_many_jobs_run_side_by_side(context):
    provider = ScriptedProvider(picture=PICTURE)
    worker = context(cheap=provider)

    done = await asyncio.gather(*(generate(worker, lease()) for _ in range(20)))

    assert {outcome.state for outcome in done} == {JobState.SUCCEEDED}
    assert len({JobId(outcome.images[0].key) for outcome in done}) == 20
