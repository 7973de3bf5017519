"""What every image store promises, held against all of them.

`local` is files behind a small server, `moto` an S3 API that lets everybody in,
`swift` one that checks every signature and its expiry.
"""

import re
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from yarl import URL

from tests.fakes.odd_keys import ODD_KEYS
from tests.fakes.stands import Stand, local_stand, s3_stand

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
KEY = "jobs/j1/1/0"

STORES = ["local", "moto", pytest.param("swift", marks=pytest.mark.swift)]


@pytest.fixture(params=STORES)
async def stand(request: pytest.FixtureRequest, tmp_path) -> AsyncIterator[Stand]:
    if request.param == "local":
        stands = local_stand(tmp_path)
    else:
        place = request.getfixturevalue(request.param)
        stands = s3_stand(place)
    async with stands as stand:
        yield stand


@pytest.fixture
def guarded(stand: Stand) -> Stand:
    if not stand.checks_signatures:
        pytest.skip("moto lets everybody in")
    return stand


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def status(http: aiohttp.ClientSession, url: str, method: str = "GET") -> int:
    async with http.request(method, URL(url, encoded=True)) as response:
        return response.status


def swapped(text: str, at: int) -> str:
    """Return `text` with another character at one place."""
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


async def test_what_was_put_comes_back(stand: Stand):
    data = secrets.token_bytes(2_000_000)

    await stand.store.put(KEY, data, content_type="image/png")

    assert await stand.store.get(KEY) == data


async def test_nothing_at_all_can_be_stored(stand: Stand):
    await stand.store.put(KEY, b"", content_type="image/png")

    assert await stand.store.get(KEY) == b""


async def test_a_second_put_replaces_the_first(stand: Stand):
    await stand.store.put(KEY, b"first and longer", content_type="image/png")
    await stand.store.put(KEY, b"second", content_type="image/png")

    assert await stand.store.get(KEY) == b"second"


async def test_what_was_never_put_is_not_there(stand: Stand):
    assert await stand.store.get(KEY) is None
    assert await stand.store.list("jobs/") == []


async def test_deleted_is_gone_and_deleting_again_is_fine(stand: Stand):
    await stand.store.put(KEY, PNG, content_type="image/png")

    await stand.store.delete(KEY)
    await stand.store.delete(KEY)

    assert await stand.store.get(KEY) is None
    assert await stand.store.list("") == []


async def test_lists_what_begins_with_a_prefix_and_nothing_else(stand: Stand):
    names = ["jobs/j1/1/0", "jobs/j1/1/receipt.json", "jobs/j10/1/0", "files/f1"]
    for name in names:
        await stand.store.put(name, b"x", content_type="image/png")

    assert await stand.store.list("jobs/j1/") == names[:2]
    assert await stand.store.list("jobs/j1") == names[:3]
    assert sorted(await stand.store.list("")) == sorted(names)


async def test_odd_keys_are_not_there(stand: Stand):
    for key in ODD_KEYS:
        with pytest.raises(ValueError, match="not an image key"):
            await stand.store.put(key, PNG, content_type="image/png")
        with pytest.raises(ValueError, match="not an image key"):
            stand.store.signed_url(key)
        await stand.store.delete(key)
        assert await stand.store.get(key) is None


async def test_the_check_passes_and_leaves_nothing_behind(stand: Stand):
    await stand.store.check()

    assert await stand.store.list("") == []


async def test_a_signed_url_serves_the_bytes_under_their_type(stand: Stand, http):
    await stand.store.put(KEY, PNG, content_type="image/png")

    url, expires_at = stand.store.signed_url(KEY)

    async with http.get(URL(url, encoded=True)) as response:
        assert response.status == 200
        assert response.content_type == "image/png"
        assert await response.read() == PNG
    assert timedelta(minutes=59) < expires_at - stand.now() <= timedelta(hours=1)


async def test_a_signed_url_reads_until_it_expires_and_not_after(guarded, http):
    await guarded.store.put(KEY, PNG, content_type="image/png")
    lifetime = timedelta(seconds=2)
    url, expires_at = guarded.store.signed_url(KEY, lifetime=lifetime)

    await guarded.wait_until(expires_at - timedelta(milliseconds=500))
    assert await status(http, url) == 200

    await guarded.wait_until(expires_at + timedelta(milliseconds=100))
    assert await status(http, url) == 403


async def test_a_changed_url_reads_nothing(guarded: Stand, http):
    for key in (KEY, "jobs/j2/1/0"):
        await guarded.store.put(key, PNG, content_type="image/png")
    url = guarded.store.signed_url(KEY).url
    changed = [
        url.replace("/j1/", "/j2/"),
        re.sub(r"(exp|Expires)=(\d+)", lambda m: f"{m[1]}={int(m[2]) + 1}", url),
        url + "&response-content-type=text%2Fhtml",
        url.partition("?")[0],
        *(swapped(url, at) for at in range(len(url) - 40, len(url), 3)),
    ]

    answers = {await status(http, other) for other in changed}

    assert await status(http, url) == 200
    assert answers <= {400, 403}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_url_to_read_does_nothing_else(guarded: Stand, http, method: str):
    await guarded.store.put(KEY, PNG, content_type="image/png")
    url = guarded.store.signed_url(KEY).url

    answer = await status(http, url, method)

    assert answer in {403, 405}
    assert await guarded.store.get(KEY) == PNG
