"""What tests of several pages look for in an answer."""

import base64
import io
import time
from collections.abc import Callable
from typing import Any

import httpx
from PIL import Image


def decoded(data: bytes) -> Image.Image:
    """Return the picture, decoded to its last pixel."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def inline(item: dict[str, Any]) -> Image.Image:
    """Return the picture of an entry of `data` that has it as base64."""
    return decoded(base64.b64decode(item["b64_json"], validate=True))


def linked(item: dict[str, Any]) -> Image.Image:
    """Fetch the picture of an entry of `data` as anybody can who has the link."""
    answer = httpx.get(item["url"])
    assert answer.status_code == 200, answer.text
    return decoded(answer.content)


def assert_shape(answer: Any, example: Any) -> None:
    """Whatever the example has, the answer has too, and of the same type."""
    if isinstance(example, dict):
        assert answer.keys() >= example.keys()
        for name, value in example.items():
            assert_shape(answer[name], value)
    elif isinstance(example, list):
        assert isinstance(answer, list)
        for item in answer:
            assert_shape(item, example[0])
    elif isinstance(example, int | float):
        assert isinstance(answer, int | float)
    else:
        assert isinstance(answer, type(example))


def assert_standard_error(answer: httpx.Response, status: int, **error: str) -> None:
    """The error object that all three routers take from OpenAI, and OpenAI's SDKs."""
    assert answer.status_code == status, answer.text
    said = answer.json()["error"]
    assert said.keys() >= {"message", "type", "param", "code"}
    assert {name: said[name] for name in error} == error


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what a server does once its answer has gone out."""
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
