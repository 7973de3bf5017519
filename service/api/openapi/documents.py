"""What this package serves: the document as JSON and YAML, and a page to read.

Each is made when it is first asked for, and from then on answered from memory: most
front doors are never asked, and all three take as long as the rest of a start.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import orjson
from aiohttp import web

from service.api.openapi.assembly import assemble
from service.api.openapi.operation import JSON
from service.api.openapi.page import STYLE, page_of
from service.api.openapi.tables import OPERATIONS, TAGS
from service.api.openapi.yaml import to_yaml

routes = web.RouteTableDef()

_INTRODUCTION = """\
One door to every image provider. Each request, the waiting ones included, is a \
durable job before any money is spent: a connection may break, the job does not.

Send an API key with every call, as `Authorization: Bearer KEY` or `X-API-Key: KEY`. \
Every answer carries `x-request-id`; every answer that made or found a job carries its \
id in `x-job-id`, errors included.

    export URL={base_url} KEY=sk_...
    curl $URL/v1/images/generations -H "Authorization: Bearer $KEY" \\
      -H "Content-Type: application/json" \\
      -d '{{"model": "test/test", "prompt": "a lighthouse in fog"}}'

`test/test` draws a real image of the size you ask for with your prompt on it: free, \
instant and offline.

This page as data: `/openapi.json`, `/.well-known/openapi.yaml`."""


@dataclass(frozen=True, slots=True)
class _Written:
    content: bytes
    headers: Mapping[str, str]

    @property
    def etag(self) -> str:
        return self.headers["ETag"]


class Documents:
    """The three of a front door that is reached at `base_url`."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    @cached_property
    def json(self) -> _Written:
        return _written(orjson.dumps(document_of(self._base_url)), JSON)

    @cached_property
    def yaml(self) -> _Written:
        text = to_yaml(document_of(self._base_url))
        return _written(text.encode(), "application/yaml")

    @cached_property
    def page(self) -> _Written:
        digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
        policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        )
        return _written(
            page_of(document_of(self._base_url)).encode(),
            "text/html; charset=utf-8",
            {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"},
        )


DOCUMENTS = web.AppKey("documents", Documents)


def document_of(base_url: str) -> dict[str, Any]:
    """Return the document of a front door that is reached at `base_url`."""
    info = {
        "title": "Darkroom",
        "version": version("darkroom"),
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        "description": _INTRODUCTION.format(base_url=base_url),
    }
    return assemble(OPERATIONS, info=info, tags=TAGS, base_url=base_url)


def _written(
    content: bytes, content_type: str, more: Mapping[str, str] | None = None
) -> _Written:
    headers = {
        "Content-Type": content_type,
        "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return _Written(content, {**headers, **(more or {})})


@routes.get("/openapi.json")
async def get_openapi_json(request: web.Request) -> web.Response:
    """Show the document as JSON."""
    return _answer(request, request.app[DOCUMENTS].json)


@routes.get("/.well-known/openapi.yaml")
async def get_openapi_yaml(request: web.Request) -> web.Response:
    """Show the document as YAML."""
    return _answer(request, request.app[DOCUMENTS].yaml)


@routes.get("/docs")
async def get_docs(request: web.Request) -> web.Response:
    """Show the page."""
    return _answer(request, request.app[DOCUMENTS].page)


def _answer(request: web.Request, written: _Written) -> web.Response:
    if written.etag in request.headers.get("If-None-Match", ""):
        return web.Response(
            status=HTTPStatus.NOT_MODIFIED, headers={"ETag": written.etag}
        )
    return web.Response(body=written.content, headers=written.headers)
