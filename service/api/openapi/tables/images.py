"""Bytes of images."""

from service.api.derivatives import WIDTHS
from service.api.images import LEAST_WIDTH, MOST_WIDTH
from service.api.openapi import codes
from service.api.openapi.headers import OF_A_JOB, OF_A_RATE
from service.api.openapi.operation import (
    BINARY,
    Access,
    Answer,
    Operation,
    Parameter,
)
from service.api.openapi.tables.jobs import JOB_ID

TAG = "Images"
BYTES = dict.fromkeys(("image/png", "image/jpeg", "image/webp"), BINARY)

_SHOWN = (*OF_A_JOB, "x-image-width", *OF_A_RATE)
_READ = (*_SHOWN, "ETag", "Accept-Ranges", "Cache-Control", "Content-Disposition")
SERVED = ("Cache-Control", "Content-Disposition")
_SIGNED = (*SERVED, "ETag", "Accept-Ranges")
IF_NONE_MATCH = Parameter(
    name="If-None-Match",
    where="header",
    text="An `ETag` of an earlier answer; 304 if the bytes are still these.",
)
RANGE = Parameter(
    name="Range", where="header", text="One range of bytes.", example="bytes=0-1023"
)

OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/jobs/{job_id}/images/{index}",
        id="get_image",
        tag=TAG,
        summary="Read an image of a job",
        text="This link stays, for whoever has a key of the account. `format` and "
        "`width` give a copy, made when it is first asked for and kept as long as the "
        "image. One that has to be made counts in the key's rate, and four may be on "
        "their way for an account.",
        parameters=(
            JOB_ID,
            Parameter(
                name="index",
                where="path",
                schema={"type": "integer", "minimum": 0},
                text="Which of the job's images, from 0.",
                example=0,
            ),
            Parameter(
                name="format",
                schema={"enum": ["png", "jpeg", "jpg", "webp"]},
                text="Encoded so; unsaid, as the image is.",
            ),
            Parameter(
                name="width",
                schema={
                    "type": "integer",
                    "minimum": LEAST_WIDTH,
                    "maximum": MOST_WIDTH,
                },
                text="Pixels, the height in proportion. The copy has the next of these "
                f"widths: {', '.join(map(str, WIDTHS))}; a narrower image stays as it "
                "is. `x-image-width` tells.",
                example=320,
            ),
            IF_NONE_MATCH,
            RANGE,
        ),
        answers={
            200: Answer(
                text="The bytes, where images lie in a folder.",
                media=BYTES,
                headers=_READ,
            ),
            206: Answer(
                text="A range of them.", media=BYTES, headers=(*_READ, "Content-Range")
            ),
            302: Answer(
                text="Where they can be read now, where images lie in S3.",
                headers=_SHOWN,
            ),
            304: Answer(text="They are what you have.", headers=("ETag",)),
        },
        refuses=(
            *codes.KEY,
            *codes.QUERY,
            "deleted",
            "invalid_enum",
            "not_found",
            "out_of_range",
            "range_not_satisfiable",
            "rate_limited",
            "store_unavailable",
            "unavailable",
        ),
    ),
    Operation(
        method="GET",
        path="/images/{key}",
        id="get_signed_image",
        tag=TAG,
        summary="Read an image by its signed URL",
        text="Where images lie in a folder, `url` in a job leads here. Use it as it "
        "stands: whatever is changed about it is no longer signed.",
        access=Access.OPEN,
        parameters=(
            Parameter(
                name="key",
                where="path",
                schema={"type": "string", "minLength": 1},
                text="Where the image lies; slashes stand as they are.",
            ),
            Parameter(name="exp", text="Unix seconds of the end.", required=True),
            Parameter(name="sig", text="The signature.", required=True),
            IF_NONE_MATCH,
            RANGE,
        ),
        answers={
            200: Answer(text="The bytes.", media=BYTES, headers=_SIGNED),
            206: Answer(
                text="A range of them.",
                media=BYTES,
                headers=(*_SIGNED, "Content-Range"),
            ),
            304: Answer(text="They are what you have.", headers=("ETag",)),
        },
        refuses=(
            "invalid_signature",
            "not_found",
            "range_not_satisfiable",
            "store_unavailable",
            "url_expired",
        ),
    ),
)
