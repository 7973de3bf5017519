"""Images the way ImageRouter speaks of them: one endpoint at two addresses."""

from dataclasses import replace
from http import HTTPStatus

from service.api.dialects.imagerouter import RouterDraft
from service.api.openapi.operation import Body, Images, Operation
from service.api.openapi.tables.openai import (
    ACCEPTED,
    CALL_PARAMETERS,
    CALL_REFUSES,
    MADE,
)

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
        images=Images.SOME,
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
        form_examples={
            "ImageRouter: image to image": {
                "prompt": "transform this into a watercolor painting",
                "model": "test/test",
                "quality": "auto",
                "size": "auto",
                "response_format": "url",
                "output_format": "webp",
                "image[]": "@/path/to/your/image.webp",
            },
            "ImageRouter: text to image": {
                "prompt": "a cyberpunk city at night",
                "model": "test/test",
                "quality": "high",
                "size": "1024x1024",
                "response_format": "url",
                "output_format": "webp",
            },
        },
    ),
    answers={
        200: replace(
            MADE,
            text="The images, with `latency` in milliseconds and `cost` in US dollars.",
        ),
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
        summary="Make images, at ImageRouter's other address",
    ),
)
