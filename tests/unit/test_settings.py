"""A setting that cannot be right is refused in one sentence that names it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import ConfigurationError, load_settings


@pytest.fixture(autouse=True)
def environment(tmp_path: Path) -> Iterator[None]:
    """No setting of this machine, and whatever a test sets is gone after it."""
    before, folder = dict(os.environ), Path.cwd()
    for name in [n for n in os.environ if n.startswith("DARKROOM_")]:
        del os.environ[name]
    os.chdir(tmp_path)
    yield
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DARKROOM_REDIS_URL", "foo"),
        ("DARKROOM_REDIS_URL", "redis://h:abc/0"),
        ("DARKROOM_REDIS_URL", "redis://h/abc"),
        ("DARKROOM_REDIS_URL", "http://h"),
        ("DARKROOM_PUBLIC_URL", "ftp://x"),
        ("DARKROOM_PUBLIC_URL", "http://x/?q"),
        ("DARKROOM_PUBLIC_URL", "https://u:p@x"),
        ("DARKROOM_RETENTION_S", "9" * 23),
        ("DARKROOM_DATA_DIR", ""),
        ("DARKROOM_DATA_DIR", "~nobody-of-this-name/x"),
        ("DARKROOM_PROT", "1"),
        ("DARKROOM_OUTBOUND__ALLOWED_NETWORKS", "10.0.0.0/8"),
        ("DARKROOM_WEBHOOKS__SCHEDULE_S", "[5, 300"),
    ],
)
def test_what_cannot_be_right_is_named(name: str, value: str):
    os.environ[name] = value

    with pytest.raises(ConfigurationError, match=name) as refused:
        load_settings()

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", [b"[storage\nbucket=", b"port = \xff"])
def test_a_file_that_cannot_be_read_is_named(text: bytes):
    Path("darkroom.toml").write_bytes(text)

    with pytest.raises(ConfigurationError, match=r"^darkroom\.toml: ") as refused:
        load_settings()

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["redis://h", "rediss://u:p@h:6380/2", "unix:///run/valkey.sock"]
)
def test_every_form_of_redis_url_is_taken(url: str):
    os.environ["REDIS_URL"] = url

    assert load_settings().redis_url == url


def test_a_secret_file_that_is_no_text_is_named(tmp_path: Path):
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
    os.environ["DARKROOM_BOOTSTRAP_KEY_FILE"] = str(tmp_path / "key")

    with pytest.raises(ConfigurationError, match="BOOTSTRAP_KEY_FILE"):
        load_settings()
