"""What stands around ImageRouter's endpoint."""

from dataclasses import replace

from service.api.openapi import codes
from service.api.openapi.operation import Access, Answer, Operation
from service.api.openapi.shapes.around import Credits, KeyTest
from service.api.openapi.tables.imagerouter import TAG

_TEST = Operation(
    method="POST",
    path="/v1/auth/test",
    id="test_key",
    tag=TAG,
    summary="Test a key",
    answers={200: Answer(text="It is good.", shape=KeyTest)},
    refuses=(*codes.KEY, *codes.QUERY),
)

OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/credits",
        id="get_credits",
        tag=TAG,
        summary="See what is left of a key's quota",
        text="Credits are quota units here, and the key's own.",
        answers={200: Answer(text="What is left.", shape=Credits)},
        refuses=(*codes.KEY, *codes.QUERY),
    ),
    _TEST,
    replace(_TEST, method="GET", id="test_key_by_get"),
    Operation(
        method="POST",
        path="/operations/get-popular-models",
        id="list_popular_models",
        tag=TAG,
        summary="List the ten models that drew most this week",
        text="Most first, as counted on this installation. It answers without a key, "
        "unless the operator closed it; with one it shows what that key may ask for.",
        access=Access.EITHER,
        answers={
            200: Answer(
                text="Names of models.",
                shape=list[str],
                example=["openai/gpt-image-1", "test/test"],
            )
        },
        refuses=(*codes.KEY, *codes.QUERY),
    ),
)
