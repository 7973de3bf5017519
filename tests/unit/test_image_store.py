"""What opening a store, naming and signing promise without a network."""

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.credentials import Credentials
from botocore.session import Session

from service.core.errors import InvalidSignature, StoreUnavailable
from service.image_store.bucket import locate
from service.image_store.credentials import Held
from service.image_store.local import LocalImageStore, media_type
from service.image_store.opening import open_image_store
from service.image_store.s3_signing import signed_headers, signed_url
from service.image_store.secret import signing_secret
from service.settings import ConfigurationError, Settings, Storage
from tests.fakes.odd_keys import ODD_KEYS

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = "jobs/j1/1/0"
HOUR = timedelta(hours=1)
AWS_KEY = Credentials("id", "secret").get_frozen_credentials()


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_odd_keys_are_neither_stored_nor_signed(key: str, tmp_path: Path):
    store = local(tmp_path / "images")
    query = store.signed_url(KEY).url.partition("?")[2]

    with pytest.raises(ValueError, match="not an image key"):
        await store.put(key, b"x", content_type="image/png")
    with pytest.raises(ValueError, match="not an image key"):
        store.signed_url(key)
    with pytest.raises(InvalidSignature):
        store.verify(key, query)
    assert not (tmp_path / "images").exists()


class Garbling(LocalImageStore):
    """Returns other bytes than it was given."""

    async def get(self, key: str) -> bytes | None:
        data = await super().get(key)
        return data and data[::-1]


class Undying(LocalImageStore):
    """Forgets to delete."""

    async def delete(self, key: str) -> None:
        _ = key


@pytest.mark.parametrize(
    ("kind", "fault"),
    [(Garbling, "did not return the same"), (Undying, "was deleted")],
)
async def test_the_check_finds_a_store_that_does_not_keep_its_word(
    kind: type[LocalImageStore], fault: str, tmp_path: Path
):
    with pytest.raises(StoreUnavailable, match=fault):
        await local(tmp_path, kind).check()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "images").write_text("a file is in the way")

    with pytest.raises(StoreUnavailable, match="images failed"):
        await local(tmp_path / "images").check()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"GIF89a", "image/gif"),
        (b"\x00\x00\x00\x1cftypavif", "image/avif"),
        (b"RIFF\x24\x00\x00\x00WAVE", "application/octet-stream"),
        (b"<html><script>", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_the_type_is_told_from_the_bytes(data: bytes, expected: str):
    assert media_type(data) == expected


def test_all_who_open_a_data_folder_at_once_get_the_same_secret(tmp_path: Path):
    start = threading.Barrier(8)

    def secret(_: int) -> bytes:
        start.wait()
        return signing_secret(tmp_path / "data")

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(secret, range(8)))

    file = tmp_path / "data/signing.key"
    assert found == {file.read_bytes()}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list((tmp_path / "data").iterdir()) == [file]


def test_a_damaged_secret_stops_the_start(tmp_path: Path):
    (tmp_path / "signing.key").write_bytes(b"short")

    with pytest.raises(ConfigurationError, match="5 bytes instead of 32"):
        signing_secret(tmp_path)


def test_a_data_folder_that_cannot_be_written_stops_the_start(tmp_path: Path):
    (tmp_path / "data").write_text("a file is in the way")

    with pytest.raises(ConfigurationError, match="DARKROOM_DATA_DIR"):
        signing_secret(tmp_path / "data")


@pytest.mark.parametrize(
    ("storage", "url", "public_url"),
    [
        (
            Storage(bucket="pics"),
            "https://pics.s3.us-east-1.amazonaws.com/",
            "https://pics.s3.us-east-1.amazonaws.com/",
        ),
        (
            Storage(bucket="pics", region="cn-north-1"),
            "https://pics.s3.cn-north-1.amazonaws.com.cn/",
            "https://pics.s3.cn-north-1.amazonaws.com.cn/",
        ),
        (
            Storage(bucket="my.pics", region="eu-central-1"),
            "https://s3.eu-central-1.amazonaws.com/my.pics/",
            "https://s3.eu-central-1.amazonaws.com/my.pics/",
        ),
        (
            Storage(
                bucket="pics",
                endpoint_url="http://minio:9000",
                public_endpoint_url="https://img.example/s3/",
            ),
            "http://minio:9000/pics/",
            "https://img.example/s3/pics/",
        ),
    ],
)
def test_buckets_are_addressed_as_their_store_wants(storage, url, public_url):
    bucket = locate(Session(), storage)

    assert (bucket.url, bucket.public_url) == (url, public_url)


@pytest.mark.parametrize(
    "storage",
    [
        Storage(bucket="no such bucket"),
        Storage(endpoint_url="minio:9000"),
        Storage(region="nowhere at all"),
    ],
)
def test_an_address_that_cannot_be_right_stops_the_start(storage: Storage):
    with pytest.raises(ConfigurationError, match="image store's address"):
        locate(Session(), storage)


async def test_half_a_key_pair_stops_the_start():
    storage = Storage(kind="s3", access_key_id="only")

    with pytest.raises(ConfigurationError, match="belong together"):
        open_image_store(Settings(storage=storage))


async def test_without_a_key_of_ours_botocore_finds_one(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    store = open_image_store(Settings(storage=Storage(kind="s3")))

    url = store.signed_url(KEY).url
    await store.close()

    assert "X-Amz-Credential=from-the-environment" in url


async def test_opening_a_local_store_makes_its_secret_and_links_to_us(tmp_path: Path):
    settings = Settings(data_dir=tmp_path, public_url="https://img.example/")

    store = open_image_store(settings)

    assert store.signed_url(KEY).url.startswith(f"https://img.example/images/{KEY}?exp")
    assert (tmp_path / "signing.key").exists()


def test_bodies_are_signed_over_http_and_trusted_to_tls():
    def body_hash(url: str) -> str:
        headers = signed_headers(
            "PUT",
            url,
            held=Held(AWS_KEY, None),
            region="us-east-1",
            headers={},
            data=b"abc",
        )
        return headers["X-Amz-Content-SHA256"]

    assert body_hash("http://store/b/k").startswith("ba7816bf8f01cfea")
    assert body_hash("https://store/b/k") == "UNSIGNED-PAYLOAD"


@pytest.mark.parametrize(
    ("lifetime", "credentials_left", "expected_s"),
    [
        (HOUR, None, 3600),
        (HOUR, timedelta(minutes=11), 600),
        (timedelta(minutes=5), timedelta(minutes=11), 300),
        (timedelta(days=30), None, 7 * 86_400),
        (HOUR, timedelta(seconds=3), 1),
    ],
)
def test_a_url_does_not_outlive_what_signed_it(lifetime, credentials_left, expected_s):
    at = datetime.now(UTC)
    ends = None if credentials_left is None else at + credentials_left

    url, expires_at = signed_url(
        "https://store/b/k",
        held=Held(AWS_KEY, ends),
        region="us-east-1",
        lifetime=lifetime,
        at=at,
    )

    assert f"X-Amz-Expires={expected_s}&" in url
    assert abs(expires_at - at - timedelta(seconds=expected_s)) < timedelta(seconds=5)


def local(root: Path, kind: type[LocalImageStore] = LocalImageStore) -> LocalImageStore:
    return kind(
        root,
        base_url="http://127.0.0.1:8080",
        secret=bytes(32),
        lifetime=HOUR,
        clock=lambda: NOW,
    )
