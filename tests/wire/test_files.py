"""Files of accounts, on a real Valkey and real files."""

from datetime import timedelta

import pytest

from service.core.errors import (
    FileNotFound,
    IdempotencyMismatch,
    LineTooLong,
    StoreUnavailable,
    Unavailable,
)
from service.files import File, FileKind, Files, Terms
from service.files.lines import LONGEST_LINE
from service.files.records import new_file_id
from service.files.writing import DUE, PART_BYTES
from service.image_store.local import LocalImageStore
from tests.fakes.stands import S3Place, s3_stand

DAY = timedelta(days=1)
LARGE = bytes(range(256)) * (2 * PART_BYTES // 256) + b"and the rest"


@pytest.fixture
def images(tmp_path):
    return LocalImageStore(
        tmp_path, base_url="http://127.0.0.1", secret=b"s" * 32, lifetime=DAY
    )


@pytest.fixture
def files(redis, images):
    return Files(redis, images)


async def upload(files: Files, *data: bytes, account: str = "ada", **more) -> File:
    terms = {"filename": "x.jsonl", "purpose": "batch", "expires_after": None, **more}
    async with files.writing() as writing:
        for chunk in data:
            await writing.add(chunk)
        kept = await writing.keep(Terms(account=account, **terms))
    return await files.get(kept.file_id, account=account)


async def content(files: Files, file: File) -> bytes:
    return b"".join([piece async for piece in files.read(file)])


async def test_what_is_written_in_chunks_is_read_in_pieces(files, images):
    chunks = [LARGE[at : at + 70_001] for at in range(0, len(LARGE), 70_001)]

    file = await upload(files, *chunks)

    assert await content(files, file) == LARGE
    assert (file.size_bytes, file.parts, file.kind) == (len(LARGE), 3, FileKind.UPLOAD)
    assert file.expires_at is None
    assert len(await images.list("files/")) == 3


@pytest.mark.swift
async def test_pieces_may_lie_in_a_bucket(redis, swift: S3Place):
    async with s3_stand(swift) as stand:
        files = Files(redis, stand.store)
        file = await upload(files, LARGE)
        deleted = await upload(files, LARGE)

        await files.delete(deleted.id, account="ada")

        assert await content(files, file) == LARGE
        left = await stand.store.list("files/")
        assert left == [file.part(index) for index in range(3)]


async def test_upload_that_is_not_kept_leaves_nothing(files, images, redis):
    async with files.writing() as writing:
        await writing.add(LARGE)
        begun = await images.list("files/")

    assert len(begun) == 2
    assert await images.list("") == []
    assert await redis.keys("darkroom:*") == []


async def test_upload_whose_writer_dies_is_swept_and_can_no_longer_be_kept(
    files, images, redis
):
    terms = Terms(account="ada", filename="x", purpose="batch", expires_after=None)
    async with files.writing() as writing:
        await writing.add(LARGE)
        early = await files.forget_due()
        left = await images.list("files/")
        await redis.zadd(DUE, {writing.file_id: 1})
        late = await files.forget_due()

        with pytest.raises(Unavailable):
            await writing.keep(terms)

    assert (early, late, len(left)) == (0, 1, 2)
    assert await images.list("") == []
    assert await redis.keys("darkroom:*") == []


async def test_file_somebody_else_has_is_like_one_that_never_was(files):
    file = await upload(files, b"x")

    for file_id in (file.id, new_file_id(), "file-x", "../x", ""):
        with pytest.raises(FileNotFound, match="no such file"):
            await files.get(file_id, account="bob")
        with pytest.raises(FileNotFound, match="no such file"):
            await files.delete(file_id, account="bob")
    with pytest.raises(FileNotFound):
        await files.page("bob", limit=1, after=file.id)

    assert (await files.page("bob", limit=10)).files == ()
    assert await content(files, file) == b"x"


async def test_deleted_file_is_gone_with_its_content(files, images, redis):
    file = await upload(files, LARGE)

    await files.delete(file.id, account="ada")

    with pytest.raises(FileNotFound):
        await files.get(file.id, account="ada")
    with pytest.raises(FileNotFound):
        await files.delete(file.id, account="ada")
    with pytest.raises(FileNotFound):
        await content(files, file)
    assert await images.list("") == []
    assert await redis.zcard(DUE) == 0


async def test_content_the_store_would_not_delete_is_swept_later(redis, images):
    class Stubborn(LocalImageStore):
        async def delete(self, key):
            raise StoreUnavailable("not now")

    stubborn = Stubborn(
        images._folder._root, base_url="", secret=b"s" * 32, lifetime=DAY
    )
    file = await upload(Files(redis, stubborn), b"x")

    await Files(redis, stubborn).delete(file.id, account="ada")
    left = await images.list("files/")
    await Files(redis, images).forget_due()

    assert len(left) == 1
    assert await images.list("") == []


async def test_expired_file_is_gone_and_then_swept(files, images, redis):
    file = await upload(files, b"x", expires_after=DAY)
    early = await files.forget_due()
    await redis.hset(f"darkroom:file:{file.id}", "expires_ms", 1)
    await redis.zadd(DUE, {file.id: 1})

    with pytest.raises(FileNotFound):
        await files.get(file.id, account="ada")
    listed = (await files.page("ada", limit=10)).files
    late = await files.forget_due()

    assert file.expires_at - file.created_at == DAY
    assert (early, listed, late) == (0, (), 1)
    assert await images.list("") == []
    assert await redis.keys("darkroom:*") == []


async def test_pages_follow_each_other_both_ways(files):
    made = [(await upload(files, b"x")).id for _ in range(5)]

    async def walk(order, **more):
        seen, after = [], None
        while True:
            page = await files.page("ada", limit=2, after=after, order=order, **more)
            seen += [file.id for file in page.files]
            if not page.more:
                return seen
            after = seen[-1]

    newest_first = await walk("desc")

    assert set(newest_first) == set(made)
    assert await walk("asc") == newest_first[::-1]
    assert await walk("asc", purpose="vision") == []
    everything = await files.page("ada", limit=5, purpose="batch")
    assert (len(everything.files), everything.more) == (5, False)


async def test_whoever_deletes_what_he_lists_gets_to_the_end(files):
    for _ in range(5):
        await upload(files, b"x")

    after, deleted, more = None, 0, True
    while more:
        page = await files.page("ada", limit=2, after=after)
        for file in page.files:
            await files.delete(file.id, account="ada")
        after, more, deleted = page.files[-1].id, page.more, deleted + len(page.files)

    assert deleted == 5


async def test_named_upload_that_is_repeated_is_one_file(files, images):
    first = await upload(files, LARGE, name="once")
    again = await upload(files, LARGE, name="once")
    with pytest.raises(IdempotencyMismatch):
        await upload(files, LARGE, name="once", filename="y.jsonl")
    elsewhere = await upload(files, LARGE, name="once", account="bob")
    await files.delete(first.id, account="ada")
    anew = await upload(files, b"other", name="once")

    assert again.id == first.id
    assert len({first.id, elsewhere.id, anew.id}) == 3
    assert len(await images.list("files/")) == 3 + 1


async def test_batch_has_one_file_of_a_kind(files):
    terms = {"batch": "batch_1", "filename": "out.jsonl", "expires_at": None}

    output = await files.rendered("ada", kind=FileKind.OUTPUT, **terms)
    again = await files.rendered("ada", kind=FileKind.OUTPUT, **terms)
    errors = await files.rendered("ada", kind=FileKind.ERROR, **terms)

    assert output == again != errors
    file = await files.get(output, account="ada")
    assert (file.batch, file.purpose, file.size_bytes) == ("batch_1", "batch_output", 0)
    await files.delete(output, account="ada")
    await files.rendered("ada", kind=FileKind.OUTPUT, **terms)
    with pytest.raises(FileNotFound):
        await files.get(output, account="ada")


async def test_lines_go_over_the_borders_of_pieces(files):
    lines = [b'{"n": %d, "pad": "%s"}' % (n, b"x" * 900) for n in range(10_000)]

    file = await upload(files, b"\r\n".join(lines))

    assert file.parts == 3
    assert [line.data async for line in files.lines(file)] == lines


async def test_line_that_is_too_long_says_which_one_it_is(files):
    file = await upload(files, b"{}\n\n" + b"x" * (LONGEST_LINE + 1))
    lines = files.lines(file)

    first = await anext(lines)
    with pytest.raises(LineTooLong) as refusal:
        await anext(lines)

    assert (first, refusal.value.line) == ((1, b"{}"), 3)
