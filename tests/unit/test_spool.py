"""What came with a request: in memory, then in a file without a name."""

import asyncio
import hashlib
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.core.errors import Unavailable
from service.intake.spool import Holding, Spool

MEGABYTE = 1 << 20
FILES = Path("/proc/self/fd")


LINUX = pytest.mark.skipif(not FILES.exists(), reason="looks into /proc")


def open_files() -> list[str]:
    links = [file for file in FILES.iterdir() if file.is_symlink()]
    return sorted(str(link.readlink()) for link in links if link.is_symlink())


@pytest.fixture
def spool():
    opened = Spool()
    yield opened
    opened.close()


@contextmanager
def full_disk():
    """No file of this process may grow, the report of the tests neither."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 1, 1000, MEGABYTE - 1, MEGABYTE, 3 * MEGABYTE + 7])
async def test_every_stretch_comes_back(spool, size):
    before, data = b"before", os.urandom(size)
    await spool.add(before)
    file = Holding(spool)
    for start in range(0, size, 65_536):
        await file.add(data[start : start + 65_536])
    held = file.held()
    await spool.add(b"behind")

    assert await held.read() == data
    assert held.size == size
    assert held.sha256 == hashlib.sha256(data).hexdigest()
    assert await spool.read(0, 6) == before


async def test_many_may_read_at_once(spool):
    files = []
    for letter in b"abcdefgh":
        file = Holding(spool)
        await file.add(bytes([letter]) * (MEGABYTE // 4 + 3))
        files.append(file.held())

    read = await asyncio.gather(*(held.read() for held in files for _ in range(4)))

    assert [hashlib.sha256(data).hexdigest() for data in read] == [
        held.sha256 for held in files for _ in range(4)
    ]


async def test_little_never_touches_the_disk(spool):
    with full_disk():
        await spool.add(b"x" * (MEGABYTE - 1))

    assert await spool.read(0, 1) == b"x"


async def test_a_disk_that_is_full_is_said_so(spool):
    with full_disk(), pytest.raises(Unavailable):
        await spool.add(b"x" * MEGABYTE)


async def test_much_is_held_by_the_disk_and_not_by_us(spool):
    for _ in range(20):
        await spool.add(b"x" * MEGABYTE)

    assert spool.size == 20 * MEGABYTE
    assert len(spool._buffer) < MEGABYTE


@LINUX
async def test_nothing_of_it_has_a_name(spool):
    before = set(open_files())

    await spool.add(b"x" * MEGABYTE)

    [file] = set(open_files()) - before
    assert file.endswith("(deleted)")


@LINUX
async def test_closing_gives_the_file_back():
    before, spool = open_files(), Spool()
    await spool.add(b"x" * MEGABYTE)
    assert len(open_files()) == len(before) + 1

    spool.close()
    spool.close()

    assert open_files() == before


@LINUX
async def test_closing_harms_nothing_that_is_on_its_way_to_the_disk():
    before, spool = open_files(), Spool()
    adding = asyncio.create_task(spool.add(bytes(64 * MEGABYTE)))
    while spool._file is None:
        await asyncio.sleep(0)
    adding.cancel()

    spool.close()

    async with asyncio.timeout(10):
        while open_files() != before:
            await asyncio.sleep(0.01)
