"""A file on its way into the store, piece by piece; little of it is in memory.

Nothing says that the pieces are a file until `keep` does. Until then they are promised
to be whole within a day, and the sweep removes them when that is over, so that a
process that dies leaves nothing for ever.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis

from service.core.errors import IdempotencyMismatch, Unavailable
from service.files.records import FileKind, fields_of, new_file_id, part_key
from service.image_store import ImageStore
from service.job_store.answers import within
from service.job_store.times import ms, redis_now_ms

PART_BYTES = 4 * 2**20
DUE = "darkroom:file:due"

_BINARY = "application/octet-stream"
_PROMISED_WITHIN = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which a file is kept.

    Attributes:
        account: Whose it is.
        filename: Safe to show.
        purpose: See `File`.
        expires_after: From when it is kept; None: it stays until it is deleted.
        name: The caller's, by which a repeat finds this file again.
    """

    account: str
    filename: str
    purpose: str
    expires_after: timedelta | None
    name: str | None = None

    @property
    def life_ms(self) -> int:
        """How long it stays; 0: until it is deleted."""
        return 0 if self.expires_after is None else ms(self.expires_after)


class Kept(NamedTuple):
    """A file that is written down: `joined` means an earlier upload of that name."""

    file_id: str
    joined: bool


class Writing:
    """One upload; `add` what comes, in order, then `keep` it.

    Any call may raise StoreUnavailable or QueueUnavailable.

    Attributes:
        size: Bytes that have come.
        parts: Pieces that are in the store, or half.
        is_kept: Whether it is written down, as far as is known.
    """

    def __init__(
        self, redis: Redis, images: ImageStore, *, idempotency: timedelta
    ) -> None:
        self._redis, self._images = redis, images
        self._idempotency = idempotency
        self._keep = script(redis, "keep")
        self.file_id, self.parts = new_file_id(), 0
        self._buffer, self._digest = bytearray(), hashlib.sha256()
        self.size = 0
        self.is_kept = False

    async def add(self, data: bytes) -> None:
        """Take more of the content; waits for the store every four megabytes."""
        self._digest.update(data)
        self._buffer += data
        self.size += len(data)
        while len(self._buffer) >= PART_BYTES:
            await self._put(PART_BYTES)

    async def keep(self, terms: Terms) -> Kept:
        """Write the file down, now that all of it, at least one byte, is there.

        Raises:
            IdempotencyMismatch: The name was used for another file.
            Unavailable: It took longer than a day.
        """
        if self._buffer:
            await self._put(len(self._buffer))
        known = f"darkroom:upload:{terms.account}:{terms.name or ''}"
        fields = fields_of(
            account=terms.account,
            kind=FileKind.UPLOAD,
            purpose=terms.purpose,
            filename=terms.filename,
            size_bytes=self.size,
            parts=self.parts,
        )
        args = [
            self.file_id,
            terms.life_ms,
            "" if terms.name is None else self._content(terms),
            ms(self._idempotency),
        ]
        keys = [record(self.file_id), listing(terms.account), DUE, known]
        code, *found = await within(self._keep(keys=keys, args=[*args, *fields]))
        if code == b"mismatch":
            raise IdempotencyMismatch(
                "this Idempotency-Key was used for a request with other content"
            )
        if code == b"late":
            raise Unavailable("the upload took longer than a day")
        self.is_kept = code == b"kept"
        return Kept(found[0].decode(), joined=not self.is_kept)

    def _content(self, terms: Terms) -> str:
        """Return a hash of all that makes two uploads the same."""
        said = (self._digest.hexdigest(), terms.purpose, terms.life_ms, terms.filename)
        return hashlib.sha256(repr(said).encode()).hexdigest()

    async def _put(self, size: int) -> None:
        if not self.parts:
            await within(self._promise())
        with memoryview(self._buffer) as whole:
            data = bytes(whole[:size])
        del self._buffer[:size]
        key = part_key(self.file_id, self.parts)
        self.parts += 1  # before it is there: what failed half is dropped, too
        await self._images.put(key, data, content_type=_BINARY)

    async def _promise(self) -> None:
        due_ms = await redis_now_ms(self._redis) + ms(_PROMISED_WITHIN)
        await self._redis.zadd(DUE, {self.file_id: due_ms})


def record(file_id: str) -> str:
    """Return the key of a record."""
    return f"darkroom:file:{file_id}"


def listing(account: str) -> str:
    """Return the key of an account's listing."""
    return f"darkroom:files:{account}"


@cache
def _source(name: str) -> str:
    return (Path(__file__).parent / f"{name}.lua").read_text("utf-8")


def script(redis: Redis, name: str) -> Any:
    """Return one of the scripts beside this module, bound to a connection pool."""
    return redis.register_script(_source(name))
