"""Every route there is, and whose things it shows: the table behind the matrix.

A route of the application that does not stand here fails `test_isolation.py`: whoever
adds one says what a stranger finds there. A new kind of thing is made in
`tests.fakes.two_accounts`. Pages of the dashboard need no line: whose things they show
is told from the parts of their paths.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Public:
    """Needs no key, and knows nothing of anybody's things."""

    why: str


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """Opened by what stands in its URL; without that, `refused`."""

    refused: tuple[int, str]
    path: str


@dataclass(frozen=True, kw_only=True)
class Keyed:
    """Needs a key, and names nobody's thing in its path.

    Attributes:
        embed: Whether a key that stands in pages may go there.
        lists: Shows the things of whoever calls; a stranger's answer has none of ours.
    """

    embed: bool = False
    lists: bool = False


@dataclass(frozen=True, kw_only=True)
class Owned:
    """Names a thing in its path; a stranger is told the same as of none.

    Attributes:
        thing: Which one; see `TwoAccounts`.
        own: What its owner is answered.
        json: A body that means something.
        goes: Whether nothing is left of it when its owner has called.
        more: Further parts of the path.
    """

    thing: str
    own: int = 200
    json: Any = None
    goes: bool = False
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Operators:
    """For keys with the scope `admin`; the others are told that there is nothing."""


Surface = Public | Sealed | Keyed | Owned | Operators

_HEALTH = "for whoever looks whether the process lives"
_CATALOG = "the catalog is everybody's unless the operator closes it"
_DOCUMENT = "the manual"

ROUTES: Mapping[str, Surface] = {
    "GET /healthz": Public(why=_HEALTH),
    "GET /health": Public(why=_HEALTH),
    "GET /readyz": Public(why=_HEALTH),
    "GET /metrics": Public(why="for this machine; see test_api_health"),
    "GET /docs": Public(why=_DOCUMENT),
    "GET /openapi.json": Public(why=_DOCUMENT),
    "GET /.well-known/openapi.yaml": Public(why=_DOCUMENT),
    "GET /v1/openai/models": Public(why=_CATALOG),
    "GET /v1/openai/images/models": Public(why=_CATALOG),
    "GET /v2/models": Public(why=_CATALOG),
    "POST /operations/get-popular-models": Public(why=_CATALOG),
    "GET /v1/models": Keyed(),
    "GET /v1/models/{name}": Keyed(),
    "GET /v1/credits": Keyed(),
    "GET /v1/auth/test": Keyed(lists=True),
    "POST /v1/auth/test": Keyed(),
    "GET /v1/usage": Keyed(lists=True),
    "GET /v1/keys": Operators(),
    "POST /v1/keys": Operators(),
    "POST /v1/keys/{key_id}/revoke": Operators(),
    "POST /v1/images/generations": Keyed(),
    "POST /v1/images/edits": Keyed(),
    "POST /v1/images/variations": Keyed(),
    "POST /v1/openai/images/generations": Keyed(),
    "POST /v1/openai/images/edits": Keyed(),
    "POST /v1/chat/completions": Keyed(),
    "GET /embed/image:{model}": Sealed(
        refused=(401, "missing_key"), path="/embed/image:test/test?prompt=a+fox"
    ),
    "POST /v1/embed/sign": Keyed(embed=True),
    "GET /images/{key}": Sealed(
        refused=(403, "invalid_signature"), path="/images/jobs/{job}/1/0"
    ),
    "POST /v1/jobs": Keyed(),
    "GET /v1/jobs": Keyed(lists=True),
    "PUT /v1/jobs/{job_id}": Keyed(),
    "GET /v1/jobs/{job_id}": Owned(thing="job"),
    "POST /v1/jobs/{job_id}/cancel": Owned(thing="job", own=409),
    "POST /v1/jobs/{job_id}/retry": Owned(thing="job", own=202),
    "POST /v1/jobs/{job_id}/release": Owned(thing="job", own=409),
    "DELETE /v1/jobs/{job_id}": Owned(thing="job", own=204, goes=True),
    "GET /v1/jobs/{job_id}/images/{index}": Owned(thing="job", more={"index": "0"}),
    "GET /v1/jobs/{job_id}/events": Owned(thing="job"),
    "GET /v1/events": Keyed(),
    "POST /v1/batches": Keyed(),
    "GET /v1/batches": Keyed(lists=True),
    "GET /v1/batches/{batch_id}": Owned(thing="batch"),
    "POST /v1/batches/{batch_id}/cancel": Owned(thing="batch", own=409),
    "POST /v1/batches/{batch_id}/retry-failed": Owned(thing="batch", own=409),
    "GET /v1/batches/{batch_id}/results": Owned(thing="batch"),
    "GET /v1/batches/{batch_id}/events": Owned(thing="batch"),
    "POST /v1/files": Keyed(),
    "GET /v1/files": Keyed(lists=True),
    "GET /v1/files/{file_id}": Owned(thing="file"),
    "GET /v1/files/{file_id}/content": Owned(thing="file"),
    "DELETE /v1/files/{file_id}": Owned(thing="file", goes=True),
    "POST /v1/endpoints": Keyed(),
    "GET /v1/endpoints": Keyed(lists=True),
    "GET /v1/endpoints/{endpoint_id}": Owned(thing="endpoint"),
    "PATCH /v1/endpoints/{endpoint_id}": Owned(
        thing="endpoint", json={"description": "mine"}
    ),
    "POST /v1/endpoints/{endpoint_id}/rotate": Owned(thing="endpoint"),
    "POST /v1/endpoints/{endpoint_id}/test": Owned(thing="endpoint", own=202),
    "DELETE /v1/endpoints/{endpoint_id}": Owned(thing="endpoint", own=204, goes=True),
    "GET /v1/webhooks/default/secret": Keyed(),
    "GET /v1/deliveries": Keyed(lists=True),
    "GET /v1/deliveries/{delivery_id}": Owned(thing="delivery"),
    "POST /v1/deliveries/{delivery_id}/redeliver": Owned(thing="delivery", own=202),
    "POST /v1/providers/{provider}/test": Operators(),
}

OPEN_PAGES = frozenset(
    {
        "GET /ui/static/{version}/{name}",
        "GET /ui/sign-in",
        "POST /ui/sign-in",
        "GET /ui/events",
    }
)
"""Of the dashboard, what needs no session; and its one stream, which has no end."""
PAGE_PARTS: Mapping[str, str] = {
    "job_id": "job",
    "batch_id": "batch",
    "file_id": "file",
    "endpoint_id": "endpoint",
    "delivery_id": "delivery",
    "key_id": "key",
}
"""Whose things pages show is told from the parts of their paths; here they are."""
OTHER_PARTS: Mapping[str, str] = {"index": "0", "kind": "output", "provider": "test"}
