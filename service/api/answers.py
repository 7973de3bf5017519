"""JSON out: the one way a handler says something."""

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

_JSON = "application/json"


def answer(
    body: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return `body` as JSON."""
    return written(orjson.dumps(body), headers or {}, status=status)


def written(
    text: bytes, headers: Mapping[str, str], *, status: int = 200
) -> web.Response:
    """Return what is JSON already."""
    return web.Response(
        body=text, status=status, headers={**headers, "Content-Type": _JSON}
    )


def envelope(
    *, message: str, kind: str, code: str, param: str | None, request_id: str
) -> dict[str, Any]:
    """Return the body of every error."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return {"error": error, "request_id": request_id}
