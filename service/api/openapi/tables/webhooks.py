"""Endpoints, and what was delivered to them."""

from service.api.openapi import codes
from service.api.openapi.headers import IDEMPOTENCY_KEY
from service.api.openapi.operation import Answer, Body, Operation, Parameter
from service.api.openapi.paging import limit_of
from service.api.openapi.shapes.webhooks import (
    DefaultSecret,
    Delivery,
    DeliveryList,
    DeliveryWithLog,
    Endpoint,
    EndpointList,
    EndpointWithSecret,
)
from service.api.openapi.tables.answers import (
    DELIVERY,
    DELIVERY_LOG,
    ENDPOINT,
    ENDPOINT_WITH_SECRET,
)
from service.webhooks.deliveries import STATES
from service.webhooks.wishes import EndpointChange, EndpointDraft, Rotation

TAG = "Webhooks"

_ENDPOINT_ID = Parameter(
    name="endpoint_id",
    where="path",
    schema={"type": "string", "minLength": 1},
    text="As making it answered. Somebody else's is answered like an unknown one.",
)
_DELIVERY_ID = Parameter(
    name="delivery_id",
    where="path",
    schema={"type": "string", "minLength": 1},
    text="As the listing shows it. Somebody else's is answered like an unknown one.",
)
_FIND = (*codes.KEY, "not_found")
_SENT = (*codes.KEY, *codes.JSON_BODY, *codes.FIELDS)

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/endpoints",
        id="create_endpoint",
        tag=TAG,
        summary="Make an endpoint",
        text="Events are sent as Standard Webhooks says: a POST whose `webhook-id` is "
        "the same each time, signed anew for each attempt. Any 2xx means that it "
        "arrived; a redirect does not. What does not arrive is sent again, ten times "
        "in three days; 410 disables the endpoint.",
        parameters=(IDEMPOTENCY_KEY,),
        body=Body(
            name="EndpointDraft",
            model=EndpointDraft,
            examples={
                "All ends": {"url": "https://hooks.example.com/images"},
                "Two of them": {
                    "url": "https://hooks.example.com/images",
                    "events": ["job.succeeded", "job.failed"],
                    "description": "the calendar",
                },
            },
        ),
        answers={
            201: Answer(
                text="The endpoint, with its secret. Whoever repeats the call under "
                "its `Idempotency-Key` finds the same one, and sees the secret again; "
                "nothing else shows it.",
                shape=EndpointWithSecret,
                headers=("Idempotent-Replayed",),
                example=ENDPOINT_WITH_SECRET,
            )
        },
        refuses=(
            *_SENT,
            *codes.RECEIVER,
            "too_many_endpoints",
            "invalid_idempotency_key",
            "idempotency_mismatch",
        ),
    ),
    Operation(
        method="GET",
        path="/v1/endpoints",
        id="list_endpoints",
        tag=TAG,
        summary="List endpoints, oldest first",
        answers={200: Answer(text="All of them.", shape=EndpointList)},
        refuses=(*codes.KEY, *codes.QUERY),
    ),
    Operation(
        method="GET",
        path="/v1/endpoints/{endpoint_id}",
        id="get_endpoint",
        tag=TAG,
        summary="Read an endpoint",
        parameters=(_ENDPOINT_ID,),
        answers={200: Answer(text="The endpoint.", shape=Endpoint, example=ENDPOINT)},
        refuses=_FIND,
    ),
    Operation(
        method="PATCH",
        path="/v1/endpoints/{endpoint_id}",
        id="change_endpoint",
        tag=TAG,
        summary="Change an endpoint",
        text="What is not named stays as it is.",
        parameters=(_ENDPOINT_ID,),
        body=Body(
            name="EndpointChange",
            model=EndpointChange,
            examples={
                "Hear of nothing for now": {"status": "disabled"},
                "Hear of each start, too": {"events": ["*", "job.started"]},
            },
        ),
        answers={200: Answer(text="The endpoint.", shape=Endpoint)},
        refuses=(*_SENT, *codes.RECEIVER, "not_found"),
    ),
    Operation(
        method="DELETE",
        path="/v1/endpoints/{endpoint_id}",
        id="delete_endpoint",
        tag=TAG,
        summary="Delete an endpoint",
        text="What is on its way to it fails.",
        parameters=(_ENDPOINT_ID,),
        answers={204: Answer(text="It is gone.")},
        refuses=_FIND,
    ),
    Operation(
        method="POST",
        path="/v1/endpoints/{endpoint_id}/rotate",
        id="rotate_endpoint",
        tag=TAG,
        summary="Give an endpoint another secret",
        text="For a while everything carries two signatures, and receivers may take "
        "whichever they can check. A second rotation meanwhile drops the oldest.",
        parameters=(_ENDPOINT_ID,),
        body=Body(
            name="Rotation",
            model=Rotation,
            needed=False,
            examples={"With a day for the change": {"overlap_s": 86400}},
        ),
        answers={
            200: Answer(
                text="The endpoint, with its new secret, which is shown this once.",
                shape=EndpointWithSecret,
            )
        },
        refuses=(*_SENT, "not_found", "invalid_secret"),
    ),
    Operation(
        method="POST",
        path="/v1/endpoints/{endpoint_id}/test",
        id="test_endpoint",
        tag=TAG,
        summary="Send an endpoint a test event",
        text="Its type is `endpoint.test`, whatever the endpoint wants to hear of.",
        parameters=(_ENDPOINT_ID,),
        answers={202: Answer(text="The delivery.", shape=Delivery)},
        refuses=(*_FIND, "endpoint_disabled"),
    ),
    Operation(
        method="GET",
        path="/v1/webhooks/default/secret",
        id="get_default_secret",
        tag=TAG,
        summary="Read what signs deliveries to the URLs of jobs",
        text="Where a job's `webhook` names no secret of its own.",
        answers={
            200: Answer(
                text="The secret.",
                shape=DefaultSecret,
                headers=("Cache-Control",),
                example={"key": ENDPOINT_WITH_SECRET["secret"]},
            )
        },
        refuses=codes.KEY,
    ),
    Operation(
        method="GET",
        path="/v1/deliveries",
        id="list_deliveries",
        tag=TAG,
        summary="List deliveries, newest first",
        text="They are kept for a week behind their end. A filter looks through the "
        "newest 10,000.",
        parameters=(
            Parameter(name="endpoint", text="Only those to this endpoint."),
            Parameter(name="status", schema={"enum": list(STATES)}, text="Only these."),
            Parameter(name="job", text="Only those about this job, batch or endpoint."),
            Parameter(name="type", text="Only events of this type."),
            Parameter(name="after", text="The last delivery of the page before."),
            limit_of("Deliveries"),
        ),
        answers={200: Answer(text="A page of deliveries.", shape=DeliveryList)},
        refuses=(*codes.KEY, *codes.QUERY, "invalid_pagination", "invalid_enum"),
    ),
    Operation(
        method="GET",
        path="/v1/deliveries/{delivery_id}",
        id="get_delivery",
        tag=TAG,
        summary="Read a delivery and its log",
        parameters=(_DELIVERY_ID,),
        answers={
            200: Answer(
                text="The delivery.",
                shape=DeliveryWithLog,
                example={**DELIVERY, "log": DELIVERY_LOG},
            )
        },
        refuses=_FIND,
    ),
    Operation(
        method="POST",
        path="/v1/deliveries/{delivery_id}/redeliver",
        id="redeliver",
        tag=TAG,
        summary="Send an event once more",
        text="From the beginning of the schedule, whatever became of it; its log goes "
        "on where it ended.",
        parameters=(_DELIVERY_ID,),
        answers={202: Answer(text="The delivery.", shape=Delivery)},
        refuses=(*_FIND, "endpoint_disabled"),
    ),
)
