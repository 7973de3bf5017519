"""Images the way ImageRouter speaks of them: one endpoint at two addresses."""

from dataclasses import replace
from http import HTTPStatus

from service.api.dialects.imagerouter import RouterDraft
from service.api.openapi.headers import OF_A_SUBMISSION
from service.api.openapi.operation import Answer, Body, Operation
from service.api.openapi.shapes.images import Images
from service.api.openapi.tables.openai import ACCEPTED, CALL_PARAMETERS, CALL_REFUSES

TAG = "ImageRouter"

_TEXT = (
    "Fields it does not know are left alone, and what the model does not honor is "
    "dropped and named in `warnings`, unless `strict` is true. `error.type` speaks "
    "ImageRouter's words."
)
_GENERATE = Operation(
    method="POST",
    path="/v1/openai/images/generations",
    id="generate_images_as_imagerouter",
    tag=TAG,
    summary="Make images from text, or from images",
    text=_TEXT,
    parameters=CALL_PARAMETERS,
    body=Body(
        name="RouterDraft",
        model=RouterDraft,
        examples={
            "ImageRouter: all there is": {
                "prompt": "a serene mountain landscape at sunset",
                "model": "test/test",
                "quality": "auto",
                "size": "auto",
                "response_format": "url",
                "output_format": "webp",
            },
            "ImageRouter: the least": {"prompt": "test image", "model": "test/test"},
        },
    ),
    answers={
        200: Answer(text="The images.", shape=Images, headers=OF_A_SUBMISSION),
        202: ACCEPTED,
    },
    refuses=tuple(code for code in CALL_REFUSES if code != "unknown_field"),
    statuses={"unknown_model": HTTPStatus.BAD_REQUEST},
)

OPERATIONS = (
    _GENERATE,
    replace(
        _GENERATE,
        path="/v1/openai/images/edits",
        id="edit_images_as_imagerouter",
    ),
)
