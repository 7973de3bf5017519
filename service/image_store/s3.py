"""Images in an S3-compatible bucket: botocore signs, aiohttp carries the bytes.

A PUT by boto3 would cost ten times the CPU, and a thread. No checksum headers are
sent: several stores refuse them.
"""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from io import BytesIO
from typing import NamedTuple
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from service.core.errors import StoreUnavailable
from service.core.jobs import new_job_id
from service.core.retries import RetryPolicy
from service.image_store import SignedUrl
from service.image_store.bucket import Bucket
from service.image_store.credentials import CredentialSource
from service.image_store.keys import checked, is_key, is_prefix
from service.image_store.proof import prove
from service.image_store.s3_faults import PASSING, refused, unreachable
from service.image_store.s3_signing import signed_headers, signed_url

_RETRIES = RetryPolicy(
    max_attempts=4, base=timedelta(milliseconds=200), ceiling=timedelta(seconds=2)
)
_SLICE = 256 * 1024
_SUCCESS = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT})


class _Answer(NamedTuple):
    status: int
    body: bytes


class S3ImageStore:
    """See `ImageStore`; every call is safe to repeat, and is repeated.

    `http` belongs to the store from now on. `timeout` bounds one call with all its
    repetitions. `page` is how many keys a listing asks for at once.
    """

    def __init__(
        self,
        bucket: Bucket,
        *,
        credentials: CredentialSource,
        http: aiohttp.ClientSession,
        lifetime: timedelta,
        timeout: timedelta,
        page: int = 1000,
    ) -> None:
        self._bucket = bucket
        self._credentials = credentials
        self._http = http
        self._lifetime = lifetime
        self._timeout_s = timeout.total_seconds()
        self._page = page

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        """See `ImageStore.put`; the store serves it under this content type."""
        answer = await self._send("PUT", checked(key), data, content_type=content_type)
        self._expect_success(answer)

    async def get(self, key: str) -> bytes | None:
        """See `ImageStore.get`."""
        if not is_key(key):
            return None
        answer = await self._send("GET", key)
        if self._is_missing(answer):
            return None
        self._expect_success(answer)
        return answer.body

    def signed_url(self, key: str, *, lifetime: timedelta | None = None) -> SignedUrl:
        """See `ImageStore.signed_url`; ends before temporary credentials do.

        Raises:
            StoreUnavailable: There are no credentials to sign with.
        """
        return signed_url(
            self._bucket.public_url + checked(key),
            held=self._credentials.now(),
            region=self._bucket.region,
            lifetime=self._lifetime if lifetime is None else lifetime,
            at=datetime.now(UTC),
        )

    async def delete(self, key: str) -> None:
        """See `ImageStore.delete`."""
        if not is_key(key):
            return
        answer = await self._send("DELETE", key)
        if not self._is_missing(answer):
            self._expect_success(answer)

    async def list(self, prefix: str) -> list[str]:
        """See `ImageStore.list`; asks for page after page."""
        keys: list[str] = []
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(self._page)}
        more = is_prefix(prefix)
        while more:
            answer = await self._send("GET", "?" + urlencode(query, quote_via=quote))
            self._expect_success(answer)
            listing = self._bucket.listing(answer.body)
            keys += [item["Key"] for item in listing.get("Contents", [])]
            more = listing.get("IsTruncated", False)
            query["continuation-token"] = listing.get("NextContinuationToken", "")
        return keys

    async def check(self) -> None:
        """See `ImageStore.check`."""
        await prove(self)

    async def is_public(self) -> bool:
        """See `ImageStore.is_public`; asks for a list and for an image."""
        if await self._reads_unsigned("?list-type=2&max-keys=1"):
            return True
        key = f"jobs/{new_job_id()}/0/0"
        await self.put(key, b"private?", content_type="text/plain")
        try:
            return await self._reads_unsigned(key)
        finally:
            await self.delete(key)

    async def close(self) -> None:
        """Close the connections to the store."""
        await self._http.close()

    async def _send(
        self, method: str, target: str, data: bytes = b"", *, content_type: str = ""
    ) -> _Answer:
        """Ask until the store has answered for good, at most four times.

        Raises:
            StoreUnavailable: Connections, throttling and faults of its own to the end.
        """
        headers = {"Content-Type": content_type} if content_type else {}
        attempts = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    attempts += 1
                    answer = await self._once(method, target, data, headers)
                    if isinstance(answer, _Answer):
                        return answer
                    wait = _RETRIES.wait_after(attempts, dice=random.random())
                    if wait is None:
                        raise answer
                    await asyncio.sleep(wait.total_seconds())
        except TimeoutError as exc:
            raise unreachable(self._bucket, exc) from exc

    async def _once(
        self, method: str, target: str, data: bytes, headers: dict[str, str]
    ) -> _Answer | StoreUnavailable:
        """Return the answer, or the fault when another attempt may do better."""
        url = self._bucket.url + target
        signed = signed_headers(
            method,
            url,
            held=await self._credentials.fresh(),
            region=self._bucket.region,
            headers=headers,
            data=data,
        )
        try:
            async with self._http.request(
                method,
                URL(url, encoded=True),
                data=_body(data),
                headers=signed,
                allow_redirects=False,
            ) as response:
                answer = _Answer(response.status, await response.read())
        except (aiohttp.ClientError, OSError) as exc:  # its timeouts are OSErrors
            return unreachable(self._bucket, exc)
        if answer.status in PASSING:
            return refused(self._bucket, *answer)
        return answer

    async def _reads_unsigned(self, target: str) -> bool:
        url = URL(self._bucket.url + target, encoded=True)
        try:
            async with self._http.get(url, allow_redirects=False) as response:
                return response.status == HTTPStatus.OK
        except (aiohttp.ClientError, OSError) as exc:
            raise unreachable(self._bucket, exc) from exc

    def _is_missing(self, answer: _Answer) -> bool:
        return (
            answer.status == HTTPStatus.NOT_FOUND
            and self._bucket.fault_code(*answer) == "NoSuchKey"
        )

    def _expect_success(self, answer: _Answer) -> None:
        if answer.status not in _SUCCESS:
            raise refused(self._bucket, *answer)


def _body(data: bytes) -> bytes | BytesIO | None:
    """Return what aiohttp sends in slices when it is long, between other work."""
    return BytesIO(data) if len(data) > _SLICE else data or None
