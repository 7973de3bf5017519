"""API keys, for operators."""

from service.api.keys import KeyDraft
from service.api.openapi import codes
from service.api.openapi.operation import Answer, Body, Operation, Parameter
from service.api.openapi.shapes.keys import Key, KeyList, KeyWithSecret

TAG = "Keys"

_KEY = tuple(code for code in codes.KEY if code != "key_scope")
_OPERATORS = " Only for keys of scope `admin`; for others there is nothing here."

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/keys",
        id="create_key",
        tag=TAG,
        summary="Make an API key",
        text="The secret is in this answer and nowhere else." + _OPERATORS,
        body=Body(
            name="KeyDraft",
            model=KeyDraft,
            examples={
                "For a page": {"account": "calendar", "scopes": ["embed"]},
                "With limits": {
                    "account": "calendar",
                    "requests_per_minute": 60,
                    "quota_units": 1_000_000,
                },
            },
        ),
        answers={
            201: Answer(
                text="The key, with its secret.",
                shape=KeyWithSecret,
                headers=("Cache-Control",),
            )
        },
        refuses=(
            *_KEY,
            *codes.JSON_BODY,
            *codes.FIELDS,
            "not_found",
            "unknown_model",
            "out_of_range",
        ),
    ),
    Operation(
        method="GET",
        path="/v1/keys",
        id="list_keys",
        tag=TAG,
        summary="List all API keys",
        text="Of all accounts, revoked and expired ones too." + _OPERATORS,
        answers={200: Answer(text="The keys.", shape=KeyList)},
        refuses=(*_KEY, *codes.QUERY, "not_found"),
    ),
    Operation(
        method="POST",
        path="/v1/keys/{key_id}/revoke",
        id="revoke_key",
        tag=TAG,
        summary="Revoke an API key",
        text="It is refused within five seconds, and who has signed in with it is "
        "signed out; jobs that it made go on. Twice is the same as once." + _OPERATORS,
        parameters=(
            Parameter(
                name="key_id",
                where="path",
                schema={"type": "string", "minLength": 1},
                text="As the listing shows it.",
            ),
        ),
        answers={200: Answer(text="The key.", shape=Key)},
        refuses=(*_KEY, "not_found"),
    ),
)
