"""Image bytes: the lasting link of a job's image, and the local store's signed URLs."""

import functools
import re
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from service.accounts import ApiKey
from service.api import limits
from service.api.auth import authorized
from service.api.context import FRONT, TRACE
from service.api.derivatives import WIDTHS, Shape
from service.api.references import job_id_of
from service.api.serving import Kept, serve, serve_image
from service.api.wishes import refuse_unknown
from service.core.errors import InvalidRequest, JobNotFound
from service.core.jobs import Job, StoredImage
from service.image_store.keys import is_key
from service.image_store.local import LocalImageStore, media_type

routes = web.RouteTableDef()

LEAST_WIDTH, MOST_WIDTH = WIDTHS[0], WIDTHS[-1]

_INDEX = re.compile(r"[0-9]|[1-9][0-9]{1,3}")
_NUMBER = re.compile(r"[1-9][0-9]{1,3}")
_FORMATS = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "webp": "webp"}
_KEPT = "private, max-age=86400"


@routes.get("/v1/jobs/{job_id}/images/{index}")
async def get_image(request: web.Request) -> web.Response:
    """Serve image `index`, from 0, or redirect to a URL that reads it now.

    `?format=` and `?width=` give a copy that is encoded so, and about as wide as that;
    one that has to be made counts as a submission does.
    """
    key = await authorized(request)
    count = functools.partial(limits.count, request, key)
    return await show_image(request, key, before=count)


async def show_image(
    request: web.Request, key: ApiKey, *, before: Callable[[], Awaitable[None]]
) -> web.Response:
    """Serve the image that the path and query name.

    Args:
        request: As it came.
        key: Whose it is.
        before: Called before a copy is made, and may refuse it.

    Raises:
        ServiceError: See `Derivatives.get`; or there is no such image.
    """
    shape = _shape(request)
    front = request.app[FRONT]
    backends = front.backends
    job_id = await job_id_of(request, key)
    job = await backends.jobs.get(job_id, account=key.account)
    request[TRACE].job_id = job.id
    image = _find(job, request.match_info["index"])
    shown = await front.derivatives.get(job, image, shape, before=before)
    request[TRACE].headers["x-image-width"] = str(shown.width)
    if isinstance(backends.images, LocalImageStore):
        headers = {"Cache-Control": _KEPT}
        return await serve_image(request, shown, backends.images, headers=headers)
    signed = backends.images.signed_url(shown.key)
    headers = {"Location": signed.url, "Cache-Control": "no-store"}
    return web.Response(status=HTTPStatus.FOUND, headers=headers)


@routes.get("/images/{key:.+}")
async def get_signed(request: web.Request) -> web.Response:
    """Serve what a signed URL of the local store reads, until it expires."""
    images = request.app[FRONT].backends.images
    if not isinstance(images, LocalImageStore):
        raise web.HTTPNotFound
    # Raw, as it came: a percent sign is somebody else's spelling of a key.
    key = request.rel_url.raw_path.removeprefix("/images/")
    if not is_key(key):
        raise web.HTTPNotFound
    images.verify(key, request.rel_url.raw_query_string)
    look = await images.look(key)
    if look is None:
        raise web.HTTPNotFound
    left_s = int(request.query["exp"]) - int(time.time())  # signed, so it is a number
    headers = {"Cache-Control": f"private, max-age={max(0, left_s)}"}
    kept = Kept(key, look.version, look.size_bytes, media_type(look.head))
    return await serve(request, kept, images, headers=headers)


def _shape(request: web.Request) -> Shape:
    refuse_unknown(request, "format", "width")
    output_format, width = request.query.get("format"), request.query.get("width")
    if output_format is not None and output_format not in _FORMATS:
        raise InvalidRequest(
            "format must be png, jpeg or webp", code="invalid_enum", param="format"
        )
    if width is not None and not _is_width(width):
        raise InvalidRequest(
            f"width must be {LEAST_WIDTH} to {MOST_WIDTH} whole pixels",
            code="out_of_range",
            param="width",
        )
    return Shape(
        None if output_format is None else _FORMATS[output_format],
        None if width is None else int(width),
    )


def _is_width(text: str) -> bool:
    return bool(_NUMBER.fullmatch(text)) and LEAST_WIDTH <= int(text) <= MOST_WIDTH


def _find(job: Job, index: str) -> StoredImage:
    if _INDEX.fullmatch(index) and int(index) < len(job.images):
        return job.images[int(index)]
    raise JobNotFound("this job has no such image")
