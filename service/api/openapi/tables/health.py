"""Whether all is well."""

from dataclasses import replace

from service.api.openapi import codes
from service.api.openapi.operation import STRING, TEXT, Access, Answer, Operation
from service.api.openapi.shapes.health import Alive, Readiness

TAG = "Health"

_ALIVE = Operation(
    method="GET",
    path="/healthz",
    id="get_health",
    tag=TAG,
    summary="Ask whether the process lives",
    access=Access.OPEN,
    answers={200: Answer(text="It does.", shape=Alive, headers=("Cache-Control",))},
)

OPERATIONS = (
    _ALIVE,
    replace(
        _ALIVE,
        path="/health",
        id="get_health_as_imagerouter",
        summary="Ask the same, as at ImageRouter",
    ),
    Operation(
        method="GET",
        path="/readyz",
        id="get_readiness",
        tag=TAG,
        summary="Ask whether new requests should come here",
        text="503 only while Redis takes no writes or the process drains; what else is "
        "the matter stands in the body.",
        access=Access.OPEN,
        answers={
            200: Answer(text="Yes.", shape=Readiness, headers=("Cache-Control",)),
            503: Answer(text="No.", shape=Readiness, headers=("Cache-Control",)),
        },
    ),
    Operation(
        method="GET",
        path="/metrics",
        id="get_metrics",
        tag=TAG,
        summary="Read the counters, for Prometheus",
        text="Open to the machine itself; others need a key.",
        access=Access.EITHER,
        answers={
            200: Answer(
                text="Prometheus' text format.",
                media={TEXT: STRING},
                headers=("Cache-Control",),
            )
        },
        refuses=codes.KEY,
    ),
)
