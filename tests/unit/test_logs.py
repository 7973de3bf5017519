"""What may stand in a log line, and what may not."""

import logging
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from service.logs import as_json, as_line, redact

FULL = Path("/dev/full")
TALKER = """
import structlog
from service import logs
from service.settings import Settings
logs.configure(Settings())
for _ in range(1000):
    structlog.get_logger().warning("disk.filled", reason="x" * 500)
print("still here")
"""
KEY = "sk_AbCdEfGh0123456789"


def rendered(**fields) -> dict:
    return orjson.loads(as_json(None, "info", {"event": "noun.done", **fields}))


@pytest.mark.parametrize(
    "name", ["prompt", "key", "authorization", "secret", "url", "query", "body"]
)
def test_private_fields_are_dropped(name: str):
    assert name not in rendered(**{name: "x"}, status=1)
    assert name not in rendered(inner={name: "x"}, **{name: "x"})["inner"]


@pytest.mark.parametrize(
    "text",
    [
        f"key {KEY} is bad",
        f"Bearer {KEY}",
        "redis://user:hunter2@host/0",
        "https://s3/x?X-Amz-Signature=abc123&X-Amz-Date=1",
        "/images/a?exp=1&kid=2&sig=abcdef",
    ],
)
def test_secrets_in_other_fields_are_blotted_out(text: str):
    line = as_json(None, "warning", {"event": "noun.failed", "error": text})

    assert "[redacted]" in line
    for secret in (KEY, "hunter2", "abc123", "abcdef"):
        assert secret not in line


def test_line_says_when_and_how_grave():
    line = rendered(status=200)

    assert line["level"] == "info"
    assert line["timestamp"].endswith("Z")
    assert line["status"] == 200


def test_long_fields_are_cut():
    assert len(rendered(reason="x" * 5000)["reason"]) < 1100


def test_what_is_no_text_is_told_as_text():
    assert rendered(path=logging)["path"].startswith("<module")


def test_nobody_forges_a_line():
    forged = 'x\n{"event":"forged"}\x1b[31m\r'

    as_object = as_json(None, "info", {"event": "noun.done", "reason": forged})
    for_people = as_line(None, "info", {"event": "noun.done", "reason": forged})

    assert orjson.loads(as_object)["reason"] == forged
    assert "\n" not in as_object
    assert "\n" not in for_people
    assert "\x1b" not in for_people


def test_traceback_is_kept_without_the_secrets_in_it():
    fields = {"event": "noun.crashed", "exc_info": ValueError(KEY)}

    line = orjson.loads(as_json(None, "error", fields))

    assert "ValueError: [redacted]" in line["exception"]


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
def test_a_full_disk_under_the_log_ends_nobody():
    with FULL.open("w") as log:
        ran = subprocess.run(
            [sys.executable, "-c", TALKER],
            stdout=subprocess.PIPE,
            stderr=log,
            check=False,
        )

    assert ran.stdout == b"still here\n"


def test_redaction_leaves_its_input_alone():
    fields = {"prompt": "a fox", "n": 1}

    assert redact(fields) == {"n": 1}
    assert fields["prompt"] == "a fox"
