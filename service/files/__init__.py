"""Files of accounts: uploads in pieces in the image store, and what batches made.

    darkroom:file:{id}                hash    account, kind, purpose, filename,
                                              size_bytes, parts, batch, created_ms,
                                              expires_ms; of a deleted one account and
                                              created_ms, for a day
    darkroom:files:{account}          zset    ids by time of creation, for listing
    darkroom:file:due                 zset    ids by the time they go; of uploads under
                                              way, by when they must be whole
    darkroom:upload:{account}:{name}  text    id and hash of the content, for a repeat

A piece lies in the store before anything says that it is part of a file, and what
says so goes before the piece does.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from redis.asyncio import Redis

from service.core.errors import FileNotFound, StoreUnavailable, Unavailable
from service.files.lines import Line, lines_in
from service.files.records import (
    File,
    FileKind,
    fields_of,
    file_id_of,
    folder_of,
    is_file_id,
    read_file,
)
from service.files.writing import DUE, Terms, Writing, listing, record, script
from service.image_store import ImageStore
from service.job_store.answers import within
from service.job_store.times import clock_ms, ms, redis_now_ms

__all__ = ["File", "FileKind", "Files", "Line", "Order", "Page", "Terms"]

Order = Literal["asc", "desc"]

_STEP = 500
_MOST_LOOKED_AT = 20_000
_SOME = 100
_KNOWN_FOR = timedelta(days=1)


class Page(NamedTuple):
    """Some files of a listing, and whether there are more."""

    files: tuple[File, ...]
    more: bool


class Files:
    """The files of all accounts.

    Every call may raise QueueUnavailable (Redis is away); those that touch content,
    StoreUnavailable. Somebody else's file is like one that never was.

    Args:
        redis: Holds the records.
        images: Holds the content, under `files/`.
        idempotency: How long a caller's name for an upload is remembered.
    """

    def __init__(
        self,
        redis: Redis,
        images: ImageStore,
        *,
        idempotency: timedelta = timedelta(days=1),
    ) -> None:
        self._redis, self._images = redis, images
        self._idempotency = idempotency
        self._render = script(redis, "render")
        self._delete = script(redis, "delete")
        self._list = script(redis, "page")
        self._forget = script(redis, "forget")

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Writing]:
        """Take a file in as it comes; unless it is kept, nothing of it stays."""
        writing = Writing(self._redis, self._images, idempotency=self._idempotency)
        try:
            yield writing
        finally:
            if not writing.is_kept:
                await self._drop(writing)

    async def get(self, file_id: str, *, account: str) -> File:
        """Return the file.

        Raises:
            FileNotFound: Never made, somebody else's, or gone.
        """
        found = await self._read([file_id]) if is_file_id(file_id) else []
        if not found or found[0].account != account:
            raise FileNotFound("no such file")
        return found[0]

    async def page(
        self,
        account: str,
        *,
        limit: int,
        after: str | None = None,
        order: Order = "desc",
        purpose: str | None = None,
    ) -> Page:
        """Return up to `limit` files by time of creation, behind file `after`.

        A file that was deleted a moment ago is still known where it stood, so that
        whoever deletes what he lists gets on. Looks at no more than 20,000.

        Raises:
            FileNotFound: `after` is not a file of the account.
        """
        found, looked_at = list[File](), 0
        while len(found) <= limit and looked_at < _MOST_LOOKED_AT:
            ids = await self._ids(account, after, order, min(limit + 1, _STEP))
            files = await self._read(ids)
            found += [f for f in files if purpose in {None, f.purpose}]
            looked_at += len(ids)
            if len(ids) < min(limit + 1, _STEP):
                break
            after = ids[-1]
        return Page(tuple(found[:limit]), more=len(found) > limit)

    async def delete(self, file_id: str, *, account: str) -> None:
        """Delete the file, and what of its content can be deleted now.

        Whoever reads it gets no further than the piece he has; the sweep removes
        what the store would not.

        Raises:
            FileNotFound: Never made, somebody else's, or gone.
        """
        keys = [record(file_id), listing(account), DUE]
        args = [file_id, account, ms(_KNOWN_FOR)]
        if not is_file_id(file_id) or not await within(
            self._delete(keys=keys, args=args)
        ):
            raise FileNotFound("no such file")
        with suppress(StoreUnavailable):
            await self._clear([file_id])

    async def rendered(
        self,
        account: str,
        *,
        batch: str,
        kind: FileKind,
        filename: str,
        expires_at: datetime | None,
    ) -> str:
        """Write down a file whose content is written out anew by each reading.

        A batch has one of a kind: twice is the same as once.
        """
        file_id = file_id_of(batch, kind)
        fields = fields_of(
            account=account,
            kind=kind,
            purpose="batch_output",
            filename=filename,
            batch=batch,
        )
        expires_ms = 0 if expires_at is None else int(expires_at.timestamp() * 1000)
        keys = [record(file_id), listing(account), DUE]
        await within(self._render(keys=keys, args=[file_id, expires_ms, *fields]))
        return file_id

    async def read(self, file: File) -> AsyncIterator[bytes]:
        """Yield the content of an upload, some megabytes at a time.

        Raises:
            FileNotFound: It was deleted meanwhile.
        """
        for index in range(file.parts):
            data = await self._images.get(file.part(index))
            if data is None:
                raise FileNotFound("no such file")
            yield data

    def lines(self, file: File) -> AsyncIterator[Line]:
        """Yield the lines of an upload that are not blank.

        Raises:
            LineTooLong: One has more than 8 MiB; those before it were yielded.
            FileNotFound: It was deleted meanwhile.
        """
        return lines_in(self.read(file))

    async def forget_due(self) -> int:
        """Remove files whose time is over, and uploads that were broken off.

        Returns how many: some at a time, none when all is done.
        """
        now_ms = await redis_now_ms(self._redis)
        found: list[bytes] = await self._redis.zrangebyscore(
            DUE, "-inf", now_ms, start=0, num=_SOME
        )
        ids = [file_id.decode() for file_id in found]
        if ids:
            await self._clear(ids)
        return len(ids)

    async def _drop(self, writing: Writing) -> None:
        """Remove what there is of an upload, its record too if nobody knows of one."""
        if not writing.parts:
            return
        with suppress(Unavailable):  # the sweep does it, then
            await within(self._redis.zadd(DUE, {writing.file_id: 0}))
            await self._clear([writing.file_id])

    async def _clear(self, ids: list[str]) -> None:
        for file_id in ids:
            keys = await self._images.list(folder_of(file_id))
            await asyncio.gather(*(self._images.delete(key) for key in keys))
        await within(self._forget(keys=[DUE], args=ids))

    async def _ids(
        self, account: str, after: str | None, order: Order, count: int
    ) -> list[str]:
        if after is not None and not is_file_id(after):
            raise FileNotFound("no such file")
        keys = [listing(account), record(after or "")]
        ids = await within(
            self._list(keys=keys, args=[account, after or "", order, count])
        )
        if ids is None:
            raise FileNotFound("no such file")
        return [file_id.decode() for file_id in ids]

    async def _read(self, ids: list[str]) -> list[File]:
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            for file_id in ids:
                pipe.hgetall(record(file_id))
            clock, *records = await within(pipe.execute())
        now_ms = clock_ms(clock)
        read = (
            read_file(i, r, now_ms=now_ms) for i, r in zip(ids, records, strict=True)
        )
        return [file for file in read if file is not None]
