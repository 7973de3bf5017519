"""The document itself."""

from dataclasses import replace

from service.api.openapi.operation import (
    JSON,
    STRING,
    Access,
    Answer,
    Operation,
    Parameter,
)

TAG = "About"

_UNCHANGED = Answer(text="It has not changed.", headers=("ETag",))
_HEADERS = ("ETag", "Cache-Control")
_JSON = Operation(
    method="GET",
    path="/openapi.json",
    id="get_openapi_json",
    tag=TAG,
    summary="Read this document as JSON",
    text="OpenAPI 3.1.",
    access=Access.OPEN,
    parameters=(
        Parameter(
            name="If-None-Match",
            where="header",
            text="An `ETag` of an earlier answer.",
        ),
    ),
    answers={
        200: Answer(
            text="The document.", media={JSON: {"type": "object"}}, headers=_HEADERS
        ),
        304: _UNCHANGED,
    },
)

OPERATIONS = (
    _JSON,
    replace(
        _JSON,
        path="/.well-known/openapi.yaml",
        id="get_openapi_yaml",
        summary="Read this document as YAML",
        answers={
            200: Answer(
                text="The document.",
                media={"application/yaml": {"type": "object"}},
                headers=_HEADERS,
            ),
            304: _UNCHANGED,
        },
    ),
    replace(
        _JSON,
        path="/docs",
        id="get_docs",
        summary="Read this document as a page",
        text="It works offline and runs no script.",
        answers={
            200: Answer(
                text="The page.", media={"text/html": STRING}, headers=_HEADERS
            ),
            304: _UNCHANGED,
        },
    ),
)
