"""The native resource: jobs."""

from service.api.jobs import JobDraft, JobRetry
from service.api.openapi import codes
from service.api.openapi.headers import (
    IDEMPOTENCY_KEY,
    OF_A_JOB,
    OF_A_SUBMISSION,
    PREFER,
)
from service.api.openapi.operation import Answer, Body, Images, Operation, Parameter
from service.api.openapi.paging import limit_of
from service.api.openapi.shapes.jobs import Job, JobList, Preview
from service.api.openapi.tables.answers import DONE, QUEUED
from service.api.wishes import LONGEST_POLL_S
from service.core.jobs import JobState

TAG = "Jobs"

JOB_ID = Parameter(
    name="job_id",
    where="path",
    schema={"type": "string", "minLength": 1},
    text="As submitting it answered. Somebody else's is answered like an unknown one.",
)
_FIND = (*codes.KEY, "not_found", "deleted")
_OWN_ID = Parameter(
    name="job_id",
    where="path",
    text="Yours: 1 to 128 letters, digits, dots, colons, dashes or underscores, not "
    "beginning with `job_`.",
    example="calendar-2027-01",
)
_IF_NONE_MATCH = Parameter(
    name="If-None-Match",
    where="header",
    text="An `ETag` of an earlier answer; 304 if that is still how things stand.",
)

_DRAFT = Body(
    name="JobDraft",
    model=JobDraft,
    images=Images.SOME,
    examples={
        "An image": {
            "model": "test/test",
            "prompt": "a lighthouse in fog",
            "size": "768x512",
        },
        "Two images, behind everybody else": {
            "model": "test/test",
            "prompt": "a lighthouse at noon",
            "n": 2,
            "priority": "batch",
            "deadline_s": 3600,
            "metadata": {"project": "calendar"},
        },
        "A lighthouse that rings": {
            "model": "test/test",
            "prompt": "a lighthouse in rain",
            "webhook": {"url": "https://hooks.example.com/images"},
        },
        "What it would cost": {
            "model": "test/test",
            "prompt": "a lighthouse at night",
            "n": 4,
            "dry_run": True,
        },
    },
    form_examples={
        "An edit": {
            "model": "test/test",
            "prompt": "a lighthouse in snow",
            "image": "@lighthouse.png",
        }
    },
)
_ANSWERS = {
    200: Answer(text="What a dry run came to; nothing is made.", shape=Preview),
    202: Answer(text="The job.", shape=Job, headers=OF_A_SUBMISSION, example=QUEUED),
}
_REFUSALS = (
    *codes.KEY,
    *codes.JSON_BODY,
    *codes.FORM_BODY,
    *codes.IMAGES,
    *codes.DRAFT,
    *codes.SUBMISSION,
    *codes.RECEIVER,
    "invalid_metadata",
)

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/jobs",
        id="submit_job",
        tag=TAG,
        summary="Submit a job",
        text="The answer comes before any work is done, and once it has come the job "
        "is not lost, whatever is killed. Read the job, or wait for it, at its "
        "`links.self`.",
        parameters=(IDEMPOTENCY_KEY,),
        body=_DRAFT,
        answers=_ANSWERS,
        refuses=_REFUSALS,
    ),
    Operation(
        method="GET",
        path="/v1/jobs",
        id="list_jobs",
        tag=TAG,
        summary="List jobs, newest first",
        text="`metadata.NAME=VALUE`, once or several times, leaves only jobs that "
        "carry all of these pairs. A filter looks through the newest 10,000 jobs.",
        parameters=(
            Parameter(
                name="status",
                schema={"enum": [state.value for state in JobState]},
                text="Only jobs in this state.",
            ),
            Parameter(name="batch", text="Only jobs of this batch."),
            Parameter(
                name="held",
                schema={"type": "boolean"},
                text="`true`: only jobs that wait for somebody to release them.",
            ),
            Parameter(name="after", text="The last job of the page before."),
            limit_of("Jobs"),
        ),
        answers={200: Answer(text="A page of jobs.", shape=JobList)},
        refuses=(*codes.KEY, *codes.QUERY, "invalid_pagination", "invalid_enum"),
    ),
    Operation(
        method="GET",
        path="/v1/jobs/{job_id}",
        id="get_job",
        tag=TAG,
        summary="Read a job, or wait for it",
        text="URLs of images are signed anew by each reading.",
        parameters=(
            JOB_ID,
            Parameter(
                name="wait",
                schema={"type": "integer", "minimum": 1, "maximum": LONGEST_POLL_S},
                text="Hold the answer until the job is final, at most so many seconds.",
                example=30,
            ),
            PREFER,
            _IF_NONE_MATCH,
        ),
        answers={
            200: Answer(
                text="The job as it stands.",
                shape=Job,
                headers=(*OF_A_JOB, "ETag", "Cache-Control", "Preference-Applied"),
                example=DONE,
            ),
            304: Answer(text="Nothing has changed.", headers=(*OF_A_JOB, "ETag")),
        },
        refuses=(*_FIND, *codes.QUERY, "out_of_range"),
    ),
    Operation(
        method="PUT",
        path="/v1/jobs/{job_id}",
        id="put_job",
        tag=TAG,
        summary="Submit a job under an id of your own",
        text="Sent again, it is the same job, however often; with other content it is "
        "refused. Wherever a job's id stands in a path, yours may stand as well; the "
        "job has one of ours besides. Once the job is deleted, the id is free: sent "
        "again, it is a new job.",
        parameters=(_OWN_ID, IDEMPOTENCY_KEY),
        body=_DRAFT,
        answers=_ANSWERS,
        refuses=(*_REFUSALS, "invalid_id"),
    ),
    Operation(
        method="POST",
        path="/v1/jobs/{job_id}/retry",
        id="retry_job",
        tag=TAG,
        summary="Make a job anew",
        text="A new job with the request, the metadata and the webhook of one that is "
        "final; `retry_of` names that one. It is priced and routed as things are now. "
        "Another prompt is another job: the body has no fields, and may be left out.",
        parameters=(JOB_ID, IDEMPOTENCY_KEY),
        body=Body(
            name="JobRetry",
            model=JobRetry,
            needed=False,
            examples={"As it was": {}},
        ),
        answers={
            202: Answer(
                text="The new job.", shape=Job, headers=OF_A_SUBMISSION, example=QUEUED
            )
        },
        refuses=(
            *_FIND,
            *codes.SUBMISSION,
            *codes.JSON_BODY,
            "unknown_field",
            "not_finished",
            "request_gone",
            "unknown_model",
            "model_not_allowed",
            "unsupported_operation",
            "no_provider_left",
            "store_unavailable",
        ),
    ),
    Operation(
        method="POST",
        path="/v1/jobs/{job_id}/cancel",
        id="cancel_job",
        tag=TAG,
        summary="Cancel a job",
        text="It is final at once; a call at a provider is given up within two "
        "seconds. Twice is the same as once.",
        parameters=(JOB_ID,),
        answers={200: Answer(text="The job, canceled.", shape=Job, headers=OF_A_JOB)},
        refuses=(*_FIND, "already_finished"),
    ),
    Operation(
        method="POST",
        path="/v1/jobs/{job_id}/release",
        id="release_job",
        tag=TAG,
        summary="Release a held job",
        text="A job is held (`queue.held`) where nobody knows whether its images were "
        "bought, and its API key was made with `--on-ambiguous hold`. `job.held` "
        "tells of it, and `GET /v1/jobs?held=true` finds all. Released, it makes "
        "another attempt, which may buy them twice; canceled, it ends.",
        parameters=(JOB_ID,),
        answers={
            200: Answer(
                text="The job, queued.",
                shape=Job,
                headers=(*OF_A_JOB, "ETag", "Cache-Control"),
            )
        },
        refuses=(*_FIND, "not_held"),
    ),
    Operation(
        method="DELETE",
        path="/v1/jobs/{job_id}",
        id="delete_job",
        tag=TAG,
        summary="Delete a job and its images",
        text="It answers 410 from then on.",
        parameters=(JOB_ID,),
        answers={204: Answer(text="It is gone.")},
        refuses=(*_FIND, "store_unavailable"),
    ),
)
