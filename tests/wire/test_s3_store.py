"""The S3 store when the store, the network or the settings are not as they should."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import aiohttp
import pytest
from botocore.credentials import Credentials
from botocore.session import Session
from yarl import URL

from service.core.errors import StoreUnavailable
from service.image_store.bucket import locate
from service.image_store.credentials import CredentialSource
from service.image_store.opening import open_image_store
from service.image_store.s3 import S3ImageStore
from service.settings import Settings, Storage
from tests.fakes.s3 import MoodyS3
from tests.fakes.stands import S3Place

KEY = "jobs/j1/1/0"


@asynccontextmanager
async def store_at(settings: Settings) -> AsyncIterator[S3ImageStore]:
    store = open_image_store(settings)
    assert isinstance(store, S3ImageStore)
    yield store
    await store.close()


@asynccontextmanager
async def moody(*moods: int | str, timeout_s: float = 30):
    """Yield a store that misbehaves as told, and our side of it."""
    async with MoodyS3(*moods) as fake:
        storage = Storage(
            kind="s3",
            endpoint_url=fake.url,
            access_key_id="id",
            secret_access_key="secret",
            timeout_s=timeout_s,
        )
        async with store_at(Settings(storage=storage)) as store:
            yield fake, store


@pytest.mark.parametrize("mood", ["SlowDown", 429, 500, 502, 503, "reset"])
async def test_what_passes_is_tried_again(mood: int | str):
    async with moody(mood, mood) as (fake, store):
        await store.put(KEY, b"image", content_type="image/png")

        assert fake.objects == {f"/darkroom/{KEY}": b"image"}
        assert len(fake.requests) >= 3


async def test_a_connection_that_hangs_is_given_up_for_another():
    async with moody("hang", timeout_s=3) as (fake, store):
        await store.put(KEY, b"image", content_type="image/png")

        assert [method for method, *_ in fake.requests] == ["PUT", "PUT"]


async def test_a_store_that_stays_down_is_given_up_after_four_attempts():
    async with moody(*[503] * 10) as (fake, store):
        with pytest.raises(StoreUnavailable, match="answered 503"):
            await store.put(KEY, b"image", content_type="image/png")

        assert len(fake.requests) == 4


async def test_a_call_ends_when_its_time_is_up():
    async with moody(*["hang"] * 10, timeout_s=0.6) as (_, store):
        async with asyncio.timeout(5):
            with pytest.raises(StoreUnavailable, match="does not answer at"):
                await store.get(KEY)


async def test_a_refusal_is_not_tried_again():
    async with moody("AccessDenied") as (fake, store):
        with pytest.raises(StoreUnavailable, match="s3:PutObject"):
            await store.put(KEY, b"image", content_type="image/png")

        assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("mood", "advice"),
    [
        ("NoSuchBucket", "no bucket darkroom at http"),
        ("InvalidAccessKeyId", "DARKROOM_STORAGE__ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", "DARKROOM_STORAGE__SECRET_ACCESS_KEY"),
        ("RequestTimeTooSkewed", "synchronize"),
        ("AuthorizationHeaderMalformed", "DARKROOM_STORAGE__REGION"),
        ("ExpiredToken", "renew them"),
        ("TooStrange", r"answered 403 \(TooStrange\)"),
        (301, r"answered 301 \(301\)"),
    ],
)
async def test_the_check_names_the_fault_and_the_remedy(mood: int | str, advice: str):
    async with moody(mood) as (_, store):
        with pytest.raises(StoreUnavailable, match=advice):
            await store.check()


async def test_a_bucket_that_is_missing_is_not_taken_for_a_missing_key():
    async with moody("NoSuchBucket", "NoSuchBucket") as (_, store):
        with pytest.raises(StoreUnavailable, match="no bucket"):
            await store.get(KEY)
        with pytest.raises(StoreUnavailable, match="no bucket"):
            await store.delete(KEY)


async def test_an_address_where_nobody_listens_is_named():
    async with MoodyS3() as fake:
        url = fake.url
    storage = Storage(
        kind="s3", endpoint_url=url, access_key_id="id", secret_access_key="secret"
    )

    async with store_at(Settings(storage=storage)) as store:
        with pytest.raises(StoreUnavailable, match=f"does not answer at {url}"):
            await store.check()


async def test_what_is_no_s3_api_is_told_from_its_listing():
    async with moody() as (fake, store):
        fake.objects["/darkroom/"] = b"<html>welcome"

        with pytest.raises(StoreUnavailable, match="not an S3 API"):
            await store.list("jobs/")


async def test_requests_carry_no_checksums_that_some_stores_refuse():
    async with moody() as (fake, store):
        await store.put(KEY, b"image", content_type="image/webp")

    _, _, headers = fake.requests[0]
    assert not [name for name in headers if "checksum" in name or "trailer" in name]
    assert headers["content-type"] == "image/webp"
    assert headers["content-length"] == "5"


@pytest.mark.parametrize(
    "place", ["moto", pytest.param("swift", marks=pytest.mark.swift)]
)
async def test_a_listing_of_several_pages_is_read_to_its_end(request, place: str):
    names = [f"jobs/j{n}/1/0" for n in range(7)]
    async with three_keys_a_page(request.getfixturevalue(place)) as store:
        for name in names:
            await store.put(name, b"x", content_type="image/png")

        assert await store.list("jobs/") == names


@asynccontextmanager
async def three_keys_a_page(place: S3Place) -> AsyncIterator[S3ImageStore]:
    storage = place.settings(bucket=place.make_bucket()).storage
    key = Credentials(place.key_id, place.secret)
    store = S3ImageStore(
        locate(Session(), storage),
        credentials=CredentialSource(lambda: key),
        http=aiohttp.ClientSession(),
        lifetime=storage.url_lifetime,
        timeout=timedelta(seconds=storage.timeout_s),
        page=3,
    )
    yield store
    await store.close()


@pytest.mark.swift
async def test_urls_are_signed_for_the_host_that_clients_use(swift: S3Place):
    public = swift.url.replace("127.0.0.1", "localhost")
    settings = swift.settings(bucket=swift.make_bucket(), public_endpoint_url=public)

    async with store_at(settings) as store, aiohttp.ClientSession() as http:
        await store.put(KEY, b"image", content_type="image/png")
        url = store.signed_url(KEY, lifetime=timedelta(minutes=1)).url
        elsewhere = url.replace("localhost", "127.0.0.1")

        assert url.startswith(public)
        async with http.get(URL(url, encoded=True)) as response:
            assert await response.read() == b"image"
        async with http.get(URL(elsewhere, encoded=True)) as response:
            assert response.status == 403


@pytest.mark.swift
async def test_a_real_store_refuses_a_wrong_secret_and_a_missing_bucket(swift: S3Place):
    wrong = swift.settings(secret_access_key="wrong", bucket=swift.make_bucket())
    missing = swift.settings(bucket="never-made")

    async with store_at(wrong) as store:
        with pytest.raises(StoreUnavailable, match="does not accept our signature"):
            await store.check()
    async with store_at(missing) as store:
        with pytest.raises(StoreUnavailable, match="no bucket"):
            await store.check()
