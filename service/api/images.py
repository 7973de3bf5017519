"""Image bytes: the lasting link of a job's image, and the local store's signed URLs."""

import re
import time
from http import HTTPStatus

from aiohttp import web

from service.api.auth import authorized
from service.api.context import FRONT, TRACE
from service.api.serving import HARMLESS
from service.api.wishes import refuse_unknown
from service.core.errors import JobNotFound
from service.core.jobs import Job, StoredImage
from service.image_store.keys import is_key
from service.image_store.local import LocalImageStore, media_type

routes = web.RouteTableDef()

_INDEX = re.compile(r"[0-9]|[1-9][0-9]{1,3}")


@routes.get("/v1/jobs/{job_id}/images/{index}")
async def get_image(request: web.Request) -> web.Response:
    """Serve image `index`, from 0, or redirect to a URL that reads it now."""
    key = await authorized(request)
    refuse_unknown(request)
    backends = request.app[FRONT].backends
    job = await backends.jobs.get(request.match_info["job_id"], account=key.account)
    request[TRACE].job_id = job.id
    image = _find(job, request.match_info["index"])
    if isinstance(backends.images, LocalImageStore):
        return await _serve(request, image)
    signed = backends.images.signed_url(image.key)
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
    data = await images.get(key)
    if data is None:
        raise web.HTTPNotFound
    left_s = int(request.query["exp"]) - int(time.time())  # signed, so it is a number
    return _bytes(data, media_type(data), cache=f"private, max-age={max(0, left_s)}")


async def _serve(request: web.Request, image: StoredImage) -> web.Response:
    etag = f'"{image.sha256}"'
    if etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    data = await request.app[FRONT].backends.images.get(image.key)
    if data is None:
        raise JobNotFound("this job has no such image")
    answer = _bytes(data, image.content_type, cache="private, max-age=86400")
    answer.headers["ETag"] = etag
    return answer


def _find(job: Job, index: str) -> StoredImage:
    if _INDEX.fullmatch(index) and int(index) < len(job.images):
        return job.images[int(index)]
    raise JobNotFound("this job has no such image")


def _bytes(data: bytes, content_type: str, *, cache: str) -> web.Response:
    headers = {**HARMLESS, "Content-Type": content_type, "Cache-Control": cache}
    return web.Response(body=data, headers=headers)
