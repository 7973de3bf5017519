"""The eyes that look for secrets see: without them a leak would pass unnoticed."""

import base64
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.fakes import canaries

SECRET = "sk_canary+of/this=test_0123456789"
KEY = "sk_canary-of-the-files_0123456789"


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        quote(SECRET, safe=""),
        SECRET.encode().hex(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_secret_is_seen_however_it_is_spelled(spelled: str):
    canaries.watch(SECRET, "mine")

    assert canaries.leaks(f"x={spelled}&y") == ["mine"]
    assert canaries.leaks("x=&y") == []


def test_keys_are_found_on_the_disk_long_after_their_test(tmp_path: Path):
    canaries.watch(KEY, "mine")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "aof").write_bytes(b"*3\r\nSET\r\n" + KEY.encode() + b"\r\n")

    seen = canaries.leaks_in(tmp_path)
    canaries.forget()

    assert seen == ["mine"]
    assert canaries.leaks_in(tmp_path) == []
    assert canaries.keys_in(tmp_path) == [KEY.encode()]
