"""Batches, in OpenAI's words and line by line."""

from service.api.batch_drafts import MOST_WINDOW_S, BatchDraft
from service.api.batch_lines import BatchLine
from service.api.openapi import codes
from service.api.openapi.headers import IDEMPOTENCY_KEY, OF_A_RATE
from service.api.openapi.operation import Answer, Body, Operation, Parameter
from service.api.openapi.paging import limit_of
from service.api.openapi.shapes.batches import Batch, BatchList
from service.api.openapi.tables.answers import BATCH

TAG = "Batches"

BATCH_ID = Parameter(
    name="batch_id",
    where="path",
    schema={"type": "string", "minLength": 1},
    text="As creating it answered. Somebody else's is answered like an unknown one.",
)
_FIND = (*codes.KEY, *codes.QUERY, "not_found", "deleted")
_AUTH = '-H "Authorization: Bearer $KEY"'
_NEW = ("Location", "Idempotent-Replayed", *OF_A_RATE)

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/batches",
        id="create_batch",
        tag=TAG,
        summary="Create a batch",
        text="As JSON it is OpenAI's: the lines are those of a file, and are read "
        "behind the answer. As `application/x-ndjson` the lines stand in the body: "
        "they are taken in while they come, the query says the rest, and the answer "
        "says which are not sound. Either way those are results like others, and "
        "the rest is made, behind all work that somebody waits for. The "
        "query is for lines in the body alone.",
        parameters=(
            IDEMPOTENCY_KEY,
            Parameter(name="model", text="For lines that name none."),
            Parameter(
                name="webhook", text="A URL that is told of this batch; see `webhook`."
            ),
            Parameter(
                name="window_s",
                schema={"type": "integer", "minimum": 1, "maximum": MOST_WINDOW_S},
                text="Lines that have not begun after so many seconds do so no more; "
                "unsaid, a day. `metadata.NAME=VALUE` notes what you like.",
            ),
        ),
        body=Body(
            name="BatchDraft",
            model=BatchDraft,
            line=BatchLine,
            examples={
                "The lines of a file": {
                    "input_file_id": "file-7q2xk5m3nd4w6hcv2zr5tbyp3e",
                    "endpoint": "/v1/images/generations",
                    "completion_window": "24h",
                }
            },
        ),
        answers={
            200: Answer(text="The batch.", shape=Batch, headers=_NEW, example=BATCH),
            202: Answer(
                text="The batch whose lines stood in the body.",
                shape=Batch,
                headers=_NEW,
            ),
        },
        refuses=(
            *codes.KEY,
            *codes.QUERY,
            *codes.JSON_BODY,
            *codes.FIELDS,
            *codes.RECEIVER,
            "batch_over",
            "idempotency_mismatch",
            "incompatible_options",
            "invalid_idempotency_key",
            "invalid_metadata",
            "line_too_long",
            "not_found",
            "rate_limited",
            "store_unavailable",
            "too_many_lines",
        ),
        curl={
            "The lines of a file": 'curl "$URL/v1/batches" \\\n'
            f"  {_AUTH} \\\n"
            '  -H "Content-Type: application/json" \\\n'
            '  -d \'{"input_file_id": "\'$FILE_ID\'", "completion_window": "24h",\n'
            '    "endpoint": "/v1/images/generations"}\'',
            "Line by line": 'curl "$URL/v1/batches?model=test/test" \\\n'
            f"  {_AUTH} \\\n"
            '  -H "Content-Type: application/x-ndjson" \\\n'
            "  --data-binary $'"
            '{"custom_id": "1", "prompt": "a lighthouse at noon"}\\n'
            '{"custom_id": "2", "prompt": "a lighthouse at night"}\\n\'',
        },
    ),
    Operation(
        method="GET",
        path="/v1/batches",
        id="list_batches",
        tag=TAG,
        summary="List batches, newest first",
        parameters=(
            Parameter(name="after", text="The last batch of the page before."),
            limit_of("Batches"),
        ),
        answers={200: Answer(text="A page of batches.", shape=BatchList)},
        refuses=(*codes.KEY, *codes.QUERY, "invalid_pagination"),
    ),
    Operation(
        method="GET",
        path="/v1/batches/{batch_id}",
        id="get_batch",
        tag=TAG,
        summary="Read a batch",
        parameters=(BATCH_ID,),
        answers={200: Answer(text="The batch as it stands.", shape=Batch)},
        refuses=_FIND,
    ),
    Operation(
        method="POST",
        path="/v1/batches/{batch_id}/cancel",
        id="cancel_batch",
        tag=TAG,
        summary="Cancel a batch",
        text="What has not begun does not begin; what a provider works at is finished, "
        "and its results are there. Twice is the same as once.",
        parameters=(BATCH_ID,),
        answers={200: Answer(text="The batch.", shape=Batch)},
        refuses=(*codes.KEY, "not_found", "deleted", "already_finished"),
    ),
    Operation(
        method="GET",
        path="/v1/batches/{batch_id}/results",
        id="get_batch_results",
        tag=TAG,
        summary="Read results as they come",
        text="A line of JSON for each line of the batch, in the order in which they "
        "ended. Of one whose lines came in the body it has `line` (its number, from "
        "1), `custom_id`, `job` as reading that would give it, and where there is no "
        "job `error`. Of OpenAI's it has `id`, `custom_id`, `response` (`status_code`, "
        "`request_id`, which is the job's id, and the `body` that the call would have "
        "been answered with) or `error`. URLs of images are signed by each reading. "
        "Behind a broken connection, go on with `after`.",
        parameters=(
            BATCH_ID,
            Parameter(
                name="after",
                schema={"type": "integer", "minimum": 0, "default": 0},
                text="How many results you have already; behind the last there is "
                "nothing, which is no error.",
            ),
            Parameter(
                name="follow",
                schema={"enum": ["true", "false"], "default": "false"},
                text="`true` waits for more until the batch has ended; meanwhile "
                "blank lines come, now and then. It counts as a stream of events.",
            ),
        ),
        answers={
            200: Answer(
                text="The results.",
                media={"application/x-ndjson": {"type": "string"}},
                headers=("Cache-Control",),
            )
        },
        refuses=(
            *_FIND,
            "out_of_range",
            "invalid_enum",
            "store_unavailable",
            "too_many_streams",
        ),
    ),
    Operation(
        method="POST",
        path="/v1/batches/{batch_id}/retry-failed",
        id="retry_failed",
        tag=TAG,
        summary="Repeat what failed",
        text="Makes a new batch of those lines of an ended one that are sound and made "
        "no image: they failed, were called off, or had no time. It is answered at "
        "once; the lines are looked for behind the answer, so the batch is "
        "`validating` at first. Where a batch ended before the lines of its file were "
        "read, all of them are.",
        parameters=(
            BATCH_ID,
            Parameter(
                name="code",
                text="Only those lines that failed with this code, such as "
                "`provider_unavailable`; `canceled`, `expired` and `never_begun` "
                "count as codes here.",
            ),
            IDEMPOTENCY_KEY,
        ),
        answers={202: Answer(text="The new batch.", shape=Batch, headers=_NEW)},
        refuses=(
            *codes.KEY,
            *codes.QUERY,
            "not_found",
            "deleted",
            "incompatible_options",
            "not_finished",
            "nothing_failed",
            "idempotency_mismatch",
            "invalid_idempotency_key",
            "rate_limited",
            "store_unavailable",
        ),
    ),
)
