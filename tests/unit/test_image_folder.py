"""Files named by keys: whole or not there, and never outside their folder."""

import errno
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import StoreUnavailable
from service.image_store.folder import Folder, fault
from service.image_store.keys import is_key
from tests.fakes.odd_keys import ODD_KEYS

KEY = "jobs/j1/1/0"
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_name_nothing(key: str, tmp_path: Path):
    (tmp_path / "secret").write_text("top")
    folder = Folder(tmp_path / "images")
    folder.write(KEY, b"image")

    assert folder.read(key) is None
    folder.delete(key)

    assert (tmp_path / "secret").read_text() == "top"
    assert folder.read(KEY) == b"image"


@given(st.text(max_size=40))
def test_no_key_leads_out_of_the_folder(key: str):
    root = Path("/srv/images")

    inside = not is_key(key) or (root / key).resolve().is_relative_to(root)

    assert inside


def test_links_are_not_followed(tmp_path: Path):
    (tmp_path / "secret").write_text("top")
    folder = Folder(tmp_path / "images")
    folder.write("jobs/j1/1/0", b"image")
    (tmp_path / "images/jobs/j1/1/1").symlink_to(tmp_path / "secret")
    (tmp_path / "images/out").symlink_to(tmp_path)

    assert folder.read("jobs/j1/1/1") is None
    assert folder.read("out/secret") is None
    with pytest.raises(StoreUnavailable, match="link"):
        folder.write("out/new", b"x")
    folder.delete("out/secret")

    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "secret"]


def test_a_write_that_fails_half_way_leaves_the_old_bytes_and_no_rubbish(tmp_path):
    folder = Folder(tmp_path)
    folder.write(KEY, b"old")

    with files_no_longer_than(1000), pytest.raises(StoreUnavailable, match="too large"):
        folder.write(KEY, b"x" * 5000)

    assert folder.read(KEY) == b"old"
    assert list((tmp_path / ".parts").iterdir()) == []


def test_readers_never_see_half_a_file(tmp_path: Path):
    folder = Folder(tmp_path)
    versions = {b"a" * 300_000, b"b" * 200_000}
    folder.write(KEY, b"a" * 300_000)
    done = threading.Event()

    def write() -> None:
        for data in [*versions] * 10:
            folder.write(KEY, data)
        done.set()

    seen = set()
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        while not done.is_set():
            seen.add(folder.read(KEY))
        writing.result()

    assert seen <= versions


def test_writing_and_pruning_the_same_folder_cross_without_harm(tmp_path: Path):
    folder = Folder(tmp_path)

    def churn(name: str) -> None:
        for _ in range(50):
            folder.write(f"jobs/j1/1/{name}", b"x")
            folder.delete(f"jobs/j1/1/{name}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(churn, "abcd"))

    assert [p.name for p in tmp_path.iterdir()] == [".parts"]


def test_parts_left_by_the_killed_are_discarded_and_fresh_ones_kept(tmp_path: Path):
    folder = Folder(tmp_path)
    folder.write(KEY, b"x")
    (tmp_path / ".parts/tmp1").write_bytes(b"half")

    folder.discard_parts(older_than=HOUR)
    assert (tmp_path / ".parts/tmp1").exists()

    folder.discard_parts(older_than=timedelta(0))
    assert not (tmp_path / ".parts/tmp1").exists()


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "is full: free some space"),
        (errno.EDQUOT, "is full: free some space"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "no permission"),
        (errno.EIO, "/srv/images failed: broken"),
    ],
)
def test_faults_of_the_folder_say_what_to_do(number: int, advice: str):
    sentence = fault(OSError(number, "broken"), Path("/srv/images"))

    assert advice in sentence
    assert "/srv/images" in sentence


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
