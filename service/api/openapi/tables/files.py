"""OpenAI's files."""

from service.api.files import MOST_LISTED, FileDraft
from service.api.openapi import codes
from service.api.openapi.headers import IDEMPOTENCY_KEY, OF_A_RATE
from service.api.openapi.operation import BINARY, Answer, Body, Operation, Parameter
from service.api.openapi.paging import limit_of
from service.api.openapi.shapes.files import File, FileDeleted, FileList
from service.api.openapi.tables.answers import FILE

TAG = "Files"

FILE_ID = Parameter(
    name="file_id",
    where="path",
    schema={"type": "string", "minLength": 1},
    text="As uploading it answered. Somebody else's is answered like an unknown one.",
)
_FIND = (*codes.KEY, *codes.QUERY, "not_found")
_SENT = (
    "body_incomplete",
    "body_timeout",
    "body_too_large",
    "unsupported_media_type",
    "unsupported_encoding",
)

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/files",
        id="upload_file",
        tag=TAG,
        summary="Upload a file",
        text="It goes to the store as it comes. Sixteen uploads of an account may be "
        "on their way.",
        parameters=(IDEMPOTENCY_KEY,),
        body=Body(
            name="FileForm",
            model=FileDraft,
            file="What to keep.",
            form_examples={
                "Lines for a batch": {"purpose": "batch", "file": "@requests.jsonl"},
                "For an hour": {
                    "purpose": "user_data",
                    "expires_after[anchor]": "created_at",
                    "expires_after[seconds]": "3600",
                    "file": "@lighthouse.png",
                },
            },
        ),
        answers={
            200: Answer(
                text="The file.",
                shape=File,
                headers=("Idempotent-Replayed", *OF_A_RATE),
                example=FILE,
            )
        },
        refuses=(
            *codes.KEY,
            *_SENT,
            *codes.FORM_BODY,
            *codes.FIELDS,
            "duplicate_field",
            "idempotency_mismatch",
            "invalid_encoding",
            "invalid_idempotency_key",
            "rate_limited",
            "store_unavailable",
            "unavailable",
        ),
    ),
    Operation(
        method="GET",
        path="/v1/files",
        id="list_files",
        tag=TAG,
        summary="List files, newest first",
        parameters=(
            Parameter(name="purpose", text="Only files that are for this."),
            Parameter(
                name="order",
                schema={"enum": ["asc", "desc"], "default": "desc"},
                text="By when they were created.",
            ),
            Parameter(
                name="after",
                text="The last file of the page before; one deleted since will do, "
                "for a day.",
            ),
            limit_of("Files", usual=MOST_LISTED, most=MOST_LISTED),
        ),
        answers={200: Answer(text="A page of files.", shape=FileList)},
        refuses=(*codes.KEY, *codes.QUERY, "invalid_pagination", "invalid_enum"),
    ),
    Operation(
        method="GET",
        path="/v1/files/{file_id}",
        id="get_file",
        tag=TAG,
        summary="Read what is known of a file",
        parameters=(FILE_ID,),
        answers={200: Answer(text="The file.", shape=File, example=FILE)},
        refuses=_FIND,
    ),
    Operation(
        method="DELETE",
        path="/v1/files/{file_id}",
        id="delete_file",
        tag=TAG,
        summary="Delete a file",
        text="A batch that has begun has read its lines, and goes on.",
        parameters=(FILE_ID,),
        answers={200: Answer(text="It is gone.", shape=FileDeleted)},
        refuses=(*codes.KEY, "not_found"),
    ),
    Operation(
        method="GET",
        path="/v1/files/{file_id}/content",
        id="get_file_content",
        tag=TAG,
        summary="Read a file",
        text="What a batch made is written out as it stands, with URLs that are signed "
        "now: while the batch runs, each reading brings more.",
        parameters=(FILE_ID,),
        answers={
            200: Answer(
                text="The content.",
                media={"application/octet-stream": BINARY, "application/jsonl": BINARY},
                headers=("Cache-Control", "Content-Disposition"),
            )
        },
        refuses=(*_FIND, "deleted", "store_unavailable"),
    ),
)
"""A reader of content that goes away meanwhile is cut off: no status tells of it."""
