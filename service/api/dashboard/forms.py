"""What browsers' forms send, read within the same limits as everything else."""

from urllib.parse import parse_qsl

from aiohttp import web

from service.api.body import Body, media_type
from service.api.context import FRONT
from service.core.errors import InvalidRequest

_URLENCODED = "application/x-www-form-urlencoded"
_MOST_FIELDS = 2000


async def read_form_fields(request: web.Request) -> dict[str, str]:
    """Return the fields of a form without files; of a field twice, the last.

    Line ends are as we write them; browsers send those of Windows.

    Raises:
        InvalidRequest: It is none, or too long.
    """
    return dict(await read_form_pairs(request))


async def read_form_pairs(request: web.Request) -> list[tuple[str, str]]:
    """Return the fields of a form without files, in order; see `read_form_fields`."""
    if media_type(request) != _URLENCODED:
        raise InvalidRequest(
            f"Content-Type must be {_URLENCODED}", code="unsupported_media_type"
        )
    own = request.app[FRONT].settings.limits
    body = Body(request, most_bytes=own.json_bytes, within_s=own.body_s)
    data = b"".join([chunk async for chunk in body])
    try:
        pairs = parse_qsl(
            data.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise InvalidRequest("this is not a form", code="invalid_encoding") from None
    return [(name, value.replace("\r\n", "\n")) for name, value in pairs]
