"""What happens, told as it does."""

from service.api.openapi import codes
from service.api.openapi.headers import OF_A_JOB
from service.api.openapi.operation import Answer, Operation, Parameter
from service.api.openapi.shapes.happenings import Happened, Happening
from service.api.openapi.tables.batches import BATCH_ID
from service.api.openapi.tables.jobs import JOB_ID
from service.events import TYPES

TAG = "Events"

_AFTER = Parameter(
    name="after",
    text="What `Last-Event-ID` says, for clients that cannot send headers; the header "
    "wins.",
)
_LAST_EVENT_ID = Parameter(
    name="Last-Event-ID",
    where="header",
    text="The last event that came. What came after it follows, each event once and "
    "in order, whichever front door tells it. An `EventSource` sends it by itself, "
    "but no `Authorization`: in a page, read the answer of `fetch`, or let a server of "
    "yours stand between.",
)
_REFUSES = (*codes.KEY, *codes.QUERY, "invalid_event_id", "too_many_streams")
_MANNERS = (
    "\n\nA comment comes every 15 seconds where nothing happens. A stream may end at "
    "any time, when the front door closes or after an hour: come again with "
    "`Last-Event-ID`. The newest 10,000 events of an account can be told, until "
    "nothing has happened for a week; whoever asks for older ones, or knows one that "
    "was lost, gets an event `snapshot` first. One who reads too slowly is "
    "told later, and one who takes nothing for `DARKROOM_LIMITS__WRITE_S` is cut off."
)

OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/jobs/{job_id}/events",
        id="follow_job",
        tag=TAG,
        summary="Follow a job to its end",
        text="The first event is the job as it stands, with the type that its state "
        "has, the last one is how it ended; both carry the whole `job`, as reading it "
        "gives it. Then the stream ends." + _MANNERS,
        parameters=(JOB_ID, _AFTER, _LAST_EVENT_ID),
        answers={
            200: Answer(
                text="What happens.",
                events=Happening,
                headers=(*OF_A_JOB, "Cache-Control"),
            ),
            204: Answer(
                text="The job ended, and the caller knows how: browsers do not come "
                "again.",
                headers=OF_A_JOB,
            ),
        },
        refuses=(*_REFUSES, "not_found", "deleted"),
    ),
    Operation(
        method="GET",
        path="/v1/batches/{batch_id}/events",
        id="follow_batch",
        tag=TAG,
        summary="Follow a batch and its jobs to its end",
        text="The first event is the batch as it stands, with the type that its state "
        "has, the last one is how it ended; both carry the whole `batch`. Between them "
        "come the events of its jobs, as in the stream of the account." + _MANNERS,
        parameters=(BATCH_ID, _AFTER, _LAST_EVENT_ID),
        answers={
            200: Answer(
                text="What happens.", events=Happening, headers=("Cache-Control",)
            ),
            204: Answer(
                text="The batch ended, and the caller knows how: browsers do not come "
                "again."
            ),
        },
        refuses=(*_REFUSES, "not_found", "deleted"),
    ),
    Operation(
        method="GET",
        path="/v1/events",
        id="follow_account",
        tag=TAG,
        summary="Follow everything of the account",
        text="All that happens to jobs, batches and endpoints of the account from now "
        "on, or after `Last-Event-ID`." + _MANNERS,
        parameters=(
            Parameter(
                name="types",
                text="Only these types of events, separated by commas: "
                f"{', '.join(f'`{name}`' for name in sorted(TYPES))}.",
            ),
            _AFTER,
            _LAST_EVENT_ID,
        ),
        answers={
            200: Answer(
                text="What happens.", events=Happened, headers=("Cache-Control",)
            )
        },
        refuses=(*_REFUSES, "invalid_enum"),
        curl={
            "By curl": 'curl -N "$URL/v1/events?types=job.succeeded,job.failed" \\\n'
            '  -H "Authorization: Bearer $KEY"'
        },
    ),
)
