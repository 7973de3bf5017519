"""The dashboard's own files, read once; their address changes whenever one does.

    /ui/static/{version}/{name}

So that browsers keep them for ever and never mix two versions: what a file imports
by a relative name comes from the same version.
"""

import hashlib
import mimetypes
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

routes = web.RouteTableDef()

_FOLDER = Path(__file__).with_name("static")
_FOR_EVER = "public, max-age=31536000, immutable"
_NOT_LONG = "public, max-age=60"
_NOSNIFF = {"X-Content-Type-Options": "nosniff"}


class _File(NamedTuple):
    data: bytes
    media_type: str


def _read() -> dict[str, _File]:
    found = {}
    for path in sorted(_FOLDER.rglob("*")):
        kind, _ = mimetypes.guess_type(path.name)
        if path.is_file() and kind is not None:
            name = path.relative_to(_FOLDER).as_posix()
            found[name] = _File(path.read_bytes(), kind)
    return found


_FILES = _read()
_VERSION = hashlib.sha256(
    b"".join(name.encode() + file.data for name, file in _FILES.items())
).hexdigest()[:12]


def asset(name: str) -> str:
    """Return the address of a file; KeyError where there is none of that name."""
    _ = _FILES[name]
    return f"/ui/static/{_VERSION}/{name}"


@routes.get("/ui/static/{version}/{name:.+}")
async def get_file(request: web.Request) -> web.Response:
    """Serve one; of another version's it is a neighbor's, while a fleet is renewed."""
    file = _FILES.get(request.match_info["name"])
    if file is None:
        raise web.HTTPNotFound
    is_ours = request.match_info["version"] == _VERSION
    tag = f'"{_VERSION}"'
    headers = {
        **_NOSNIFF,
        "Cache-Control": _FOR_EVER if is_ours else _NOT_LONG,
        "ETag": tag,
    }
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(
        body=file.data,
        headers={**headers, "Content-Type": f"{file.media_type}; charset=utf-8"},
    )
