"""Images the way OpenAI, rout.my and MultiRoute speak of them."""

from dataclasses import replace

from service.api.calls import CallDraft
from service.api.openapi import codes
from service.api.openapi.headers import IDEMPOTENCY_KEY, OF_A_SUBMISSION, PREFER
from service.api.openapi.operation import (
    Answer,
    Body,
    Images,
    Operation,
    Parameter,
)
from service.api.openapi.shapes.events import Event
from service.api.openapi.shapes.images import ImagesObject
from service.api.openapi.shapes.jobs import Job
from service.api.openapi.tables.answers import IMAGES

TAG = "OpenAI"

RETRY_COUNT = Parameter(
    name="x-stainless-retry-count",
    where="header",
    text="Sent by OpenAI's SDKs: a retry waits for the job of the first try instead "
    "of making another.",
)
CALL_PARAMETERS = (PREFER, IDEMPOTENCY_KEY, RETRY_COUNT)
ACCEPTED = Answer(
    text="The job, to a caller who did not want to wait, or not as long as it takes.",
    shape=Job,
    headers=(*OF_A_SUBMISSION, "Preference-Applied"),
)
CALL_REFUSES = (
    *codes.KEY,
    *codes.JSON_BODY,
    *codes.FORM_BODY,
    *codes.IMAGES,
    *codes.DRAFT,
    *codes.SUBMISSION,
    *codes.WAITED,
    "deleted",
)
MADE = Answer(
    text="The images. Unless `response_format` says otherwise, edits by any model but "
    "`dall-e-2` and all that models named `gpt-image-...` make stand inline, and "
    "everything else is read by URL. With `stream` they come as "
    "server-sent events: unfinished ones, then each finished one.",
    shape=ImagesObject,
    example=IMAGES,
    events=Event,
    headers=OF_A_SUBMISSION,
)

_GENERATE = Operation(
    method="POST",
    path="/v1/images/generations",
    id="generate_images",
    tag=TAG,
    summary="Make images and wait for them",
    text="What OpenAI's SDKs call `images.generate`. Underneath is a durable job, "
    "named in the headers of whatever answer comes: the connection may break, the job "
    "does not.",
    parameters=CALL_PARAMETERS,
    body=Body(
        name="ImagesDraft",
        model=CallDraft,
        images=Images.SOME,
        examples={
            "OpenAI": {"model": "test/test", "prompt": "a lighthouse in fog"},
            "rout.my": {
                "model": "provider/image-model-id",
                "prompt": "A clean product photo of a translucent blue cube "
                "on a white table",
                "n": 1,
                "image_config": {"aspect_ratio": "1:1", "image_size": "1K"},
            },
            "MultiRoute": {
                "model": "multiroute-image-latest",
                "prompt": "A minimalist illustration of a mountain range at "
                "sunrise in a flat vector style",
                "n": 1,
                "size": "1024x1024",
                "response_format": "url",
            },
            "As events, with two glimpses before": {
                "model": "test/test",
                "prompt": "a lighthouse at dawn",
                "stream": True,
                "partial_images": 2,
            },
        },
    ),
    answers={200: MADE, 202: ACCEPTED},
    refuses=CALL_REFUSES,
)

OPERATIONS = (
    _GENERATE,
    replace(
        _GENERATE,
        path="/v1/images/edits",
        id="edit_images",
        summary="Make images from images",
        text="What SDKs call `images.edit`: one image or several, a mask that says "
        "where to paint, and a prompt that says what. As a form, or as JSON with links "
        "or data URLs.",
        body=Body(
            name="EditDraft",
            model=CallDraft,
            images=Images.NEEDED,
            examples={
                "By link": {
                    "model": "test/test",
                    "prompt": "the same in snow",
                    "image": "https://example.com/lighthouse.png",
                },
            },
            form_examples={
                "One image": {
                    "model": "test/test",
                    "prompt": "the same in snow",
                    "image": "@lighthouse.png",
                },
                "Only where the mask is transparent": {
                    "model": "test/test",
                    "prompt": "a ship on the horizon",
                    "image": "@lighthouse.png",
                    "mask": "@sky.png",
                },
            },
        ),
    ),
    replace(
        _GENERATE,
        path="/v1/images/variations",
        id="vary_image",
        summary="Make images like one that is there",
        text="What SDKs call `images.create_variation`.",
        body=Body(
            name="VariationDraft",
            model=CallDraft,
            images=Images.NEEDED,
            mask=False,
            examples={
                "By link": {
                    "model": "test/test",
                    "image": "https://example.com/lighthouse.png",
                    "n": 2,
                },
            },
            form_examples={
                "From a file": {"model": "test/test", "image": "@lighthouse.png"}
            },
        ),
    ),
)
