"""Headers of our answers, and the request headers that many routes understand."""

from collections.abc import Mapping
from typing import Any

from service.api.openapi.operation import STRING, Parameter, Schema

_COUNT: Schema = {"type": "integer", "minimum": 0}

HEADERS: Mapping[str, tuple[Schema, str]] = {
    "x-request-id": (STRING, "The caller's own X-Request-ID where it sent one."),
    "x-job-id": (STRING, "The job that this call made or found."),
    "Location": (
        {"type": "string", "format": "uri"},
        "Where the job or batch is read.",
    ),
    "Idempotent-Replayed": (
        {"const": "true"},
        "There where an earlier call made the job that answers.",
    ),
    "Preference-Applied": (STRING, "What of `Prefer` was honored."),
    "Retry-After": (_COUNT, "Seconds after which another try may succeed."),
    "retry-after-ms": (_COUNT, "The same in milliseconds."),
    "x-should-retry": (
        {"enum": ["true", "false"]},
        "Whether the very same call is worth sending again; SDKs obey it.",
    ),
    "WWW-Authenticate": (STRING, "Always Bearer."),
    "ETag": (STRING, "For If-None-Match."),
    "Cache-Control": (STRING, "How long the answer may be kept."),
    "Accept-Ranges": ({"const": "bytes"}, "Ranges are served."),
    "Content-Range": (STRING, "Which bytes these are."),
    "Content-Disposition": (
        STRING,
        "Whether to show it or to keep it, and under which name.",
    ),
    "X-Cache": (
        {"enum": ["HIT", "MISS"]},
        "HIT: the images were there, or on their way, already; nothing is charged.",
    ),
    "x-image-width": (_COUNT, "Pixels that the image which is shown is wide."),
    "RateLimit-Limit": (_COUNT, "Requests the key may send a minute."),
    "RateLimit-Remaining": (_COUNT, "How many of them are left."),
    "RateLimit-Reset": (_COUNT, "Seconds until all of them are there again."),
    "RateLimit-Policy": (STRING, "Each limit of the key and its window in seconds."),
    "RateLimit": (STRING, "What is left of each of them, and the seconds until reset."),
}
"""By name, in the spelling of the answers: schema and meaning."""

OF_A_JOB = ("x-job-id", "Location")
OF_A_RATE = (
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "RateLimit",
    "RateLimit-Policy",
)
OF_A_SUBMISSION = (*OF_A_JOB, "X-Cache", "Idempotent-Replayed", *OF_A_RATE)
OF_STATUS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    409: ("x-should-retry", "Retry-After", "retry-after-ms"),
    429: ("Retry-After", "retry-after-ms"),
    503: ("Retry-After", "retry-after-ms"),
    504: ("x-should-retry", *OF_A_JOB),
}
"""What comes with a refusal of that status, whichever route it is."""

IDEMPOTENCY_KEY = Parameter(
    name="Idempotency-Key",
    where="header",
    schema={"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    text="A name for this call. The same name with the same content, within a day, "
    "is answered with the same job instead of a second one; with other content it "
    "is refused.",
)
PREFER = Parameter(
    name="Prefer",
    where="header",
    schema=STRING,
    text="`respond-async`: answer at once with the job. `wait=N`: hold the call for "
    "at most N seconds, and answer with the job as it stands then.",
    example="wait=30",
)


def shown() -> dict[str, Any]:
    """Return the table as the document's components."""
    return {
        name: {
            "description": text,
            "schema": schema,
            **({"required": True} if name == "x-request-id" else {}),
        }
        for name, (schema, text) in HEADERS.items()
    }
