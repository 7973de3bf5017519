"""`POST /v1/providers/{provider}/test`: one smallest image, past the queue.

Adapters are the workers', so a process of theirs does it, with the keys that this
front door's environment holds; a fleet whose workers have their own is told so.
"""

import asyncio
import sys
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from aiohttp import web

from service.api.answers import answer
from service.api.auth import operating
from service.api.context import FRONT, Front
from service.api.problems import Problem, Refused
from service.core.errors import NotFound

log = structlog.get_logger()

routes = web.RouteTableDef()

_OVERHEAD_S = 30.0
_LONGEST = 300
_SHOWN = ("adapter", "model", "provider_model", "ms", "upstream_id", "cost_usd")
_IMAGE = ("cost_source", "size", "content_type", "size_bytes")


@routes.post("/v1/providers/{provider}/test")
async def test_provider(request: web.Request) -> web.Response:
    """Make one smallest image with a provider; it may cost money."""
    await operating(request)
    name = request.match_info["provider"]
    return answer(await tried(request.app[FRONT], name))


async def tried(front: Front, name: str) -> dict[str, Any]:
    """Return what a test of the provider came to; `error` where it failed.

    Raises:
        NotFound: The catalog has no such provider.
        Refused: There was nothing to ask for, such as without a key.
    """
    entry = front.catalog.providers.get(name)
    if entry is None:
        raise NotFound("no such provider")
    command = (sys.executable, "-P", "-m", "workers", "test", "--", name)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(entry.timeout.total_seconds() + _OVERHEAD_S):
            said, why = await process.communicate()
    except TimeoutError:
        raise _not_testable("it took too long") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    log.info("provider.tested", provider=name, code=process.returncode)
    if not said:
        raise _not_testable(_last(why))
    result = orjson.loads(said)
    error = result["error"]
    return {
        "object": "provider.test",
        "provider": name,
        **{field: result.get(field) for field in (*_SHOWN, *_IMAGE)},
        "error": error and {"code": error["code"], "message": error["message"]},
    }


def _last(text: bytes) -> str:
    """Return the last line that the process said of itself."""
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("darkroom: ")[:_LONGEST] if lines else "it ended"


def _not_testable(why: str) -> Refused:
    return Refused(
        Problem(status=HTTPStatus.CONFLICT, code="not_testable", message=why)
    )
