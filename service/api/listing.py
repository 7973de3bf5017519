"""Listings: what their queries say, that of jobs above all, and how a page looks."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from service.api.wishes import refuse_unknown
from service.core.errors import InvalidRequest
from service.core.jobs import Job, JobState, is_job_id

USUAL_LIMIT = 20
MOST_LIMIT = 100
_NUMBER = re.compile(r"[0-9]{1,5}")
_METADATA = "metadata."


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """Which jobs are wanted.

    Attributes:
        limit: 1 to 100.
        after: The last job of the page before.
        state: Only jobs in this state.
        batch: Only lines of this batch.
        held: Only jobs that are held, or only such as are not.
        metadata: Only jobs that carry all of these pairs.
    """

    limit: int
    after: str | None
    state: JobState | None
    batch: str | None
    held: bool | None
    metadata: Mapping[str, str]

    def matches(self, job: Job) -> bool:
        """Whether the job is wanted."""
        if self.state is not None and job.state is not self.state:
            return False
        if self.batch is not None and job.batch != self.batch:
            return False
        if self.held is not None and job.held is not self.held:
            return False
        pairs = self.metadata.items()
        return all(job.metadata.get(name) == value for name, value in pairs)


def read_query(request: web.Request) -> ListQuery:
    """Read the query.

    Raises:
        InvalidRequest: `invalid_pagination`, `invalid_enum`, `unknown_param` or
            `duplicate_param`.
    """
    refuse_unknown(request, "status", "batch", "held", "after", "limit", _METADATA)
    query = request.query
    after = query.get("after")
    if after is not None and not is_job_id(after):
        raise bad_cursor("job")
    limit = read_limit(query.get("limit"))
    state = one_of(query, "status", tuple(JobState))
    return ListQuery(
        limit=limit,
        after=after,
        state=None if state is None else JobState(state),
        batch=query.get("batch"),
        held=_held(query.get("held")),
        metadata={
            name.removeprefix(_METADATA): value
            for name, value in query.items()
            if name.startswith(_METADATA)
        },
    )


def read_limit(
    given: str | None, *, usual: int = USUAL_LIMIT, most: int = MOST_LIMIT
) -> int:
    """Return how long a page of a listing is to be; unsaid: `usual`.

    Raises:
        InvalidRequest: It is no whole number from 1 to `most` (`invalid_pagination`).
    """
    if given is None:
        return usual
    if not _NUMBER.fullmatch(given) or not 1 <= int(given) <= most:
        raise bad_page("limit", f"limit must be a whole number from 1 to {most:,}")
    return int(given)


def one_of(query: Mapping[str, str], name: str, known: Collection[str]) -> str | None:
    """Return what the query says of `name`; None: nothing.

    Raises:
        InvalidRequest: It is none of those known (`invalid_enum`).
    """
    value = query.get(name)
    if value is None or value in known:
        return value
    raise InvalidRequest(
        f"{name} must be one of {', '.join(known)}", code="invalid_enum", param=name
    )


def page_of(things: Iterable[Mapping[str, Any]], *, more: bool) -> dict[str, Any]:
    """Return a page as OpenAI's SDKs go through them.

    Args:
        things: As they are shown, each with its `id`.
        more: Whether there are others behind.
    """
    data = list(things)
    return {
        "object": "list",
        "data": data,
        "has_more": more,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }


def bad_cursor(thing: str) -> InvalidRequest:
    """Return the refusal of a cursor that is no such thing of the caller's."""
    return bad_page("after", f"after must be the id of a listed {thing}")


def _held(given: str | None) -> bool | None:
    if given not in {None, "true", "false"}:
        raise InvalidRequest(
            "held must be true or false", code="invalid_enum", param="held"
        )
    return None if given is None else given == "true"


def bad_page(param: str, sentence: str) -> InvalidRequest:
    """Return the refusal of a page that is not to be had."""
    return InvalidRequest(sentence, code="invalid_pagination", param=param)
