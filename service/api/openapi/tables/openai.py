"""Images the way OpenAI, rout.my and MultiRoute speak of them."""

from service.api.calls import CallDraft
from service.api.openapi import codes
from service.api.openapi.headers import IDEMPOTENCY_KEY, OF_A_SUBMISSION, PREFER
from service.api.openapi.operation import Answer, Body, Operation, Parameter
from service.api.openapi.shapes.images import Images
from service.api.openapi.shapes.jobs import Job

TAG = "OpenAI"

RETRY_COUNT = Parameter(
    name="x-stainless-retry-count",
    where="header",
    schema={"type": "string", "pattern": "^[0-9]{1,3}$"},
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
    *codes.DRAFT,
    *codes.SUBMISSION,
    *codes.WAITED,
    "store_unavailable",
)

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/images/generations",
        id="generate_images",
        tag=TAG,
        summary="Make images and wait for them",
        text="What OpenAI's SDKs call `images.generate`. Underneath is a durable job, "
        "named in the headers of whatever answer comes: the connection may break, "
        "the job does not.",
        parameters=CALL_PARAMETERS,
        body=Body(
            name="ImagesDraft",
            model=CallDraft,
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
            },
        ),
        answers={
            200: Answer(
                text="The images. `gpt-image-...` models answer inline unless "
                "`response_format` says otherwise, all others by URL.",
                shape=Images,
                headers=OF_A_SUBMISSION,
            ),
            202: ACCEPTED,
        },
        refuses=CALL_REFUSES,
    ),
)
