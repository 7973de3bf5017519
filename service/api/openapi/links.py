"""What an answer leads to: every route that takes the id of what it tells of.

Nobody writes links down. Things have their id in `id`, and a path names it after the
thing, so a shape and a path are enough to know that one leads to the other.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from service.api.openapi.operation import Operation
from service.api.openapi.shapes.batches import Batch
from service.api.openapi.shapes.files import File
from service.api.openapi.shapes.jobs import Job
from service.api.openapi.shapes.webhooks import (
    Delivery,
    DeliveryWithLog,
    Endpoint,
    EndpointWithSecret,
)

_PARTS: Mapping[Any, str] = {
    Job: "job_id",
    Batch: "batch_id",
    File: "file_id",
    Endpoint: "endpoint_id",
    EndpointWithSecret: "endpoint_id",
    Delivery: "delivery_id",
    DeliveryWithLog: "delivery_id",
}
"""By the shape of a thing, what a path calls its id."""

_CHOSEN = frozenset({"PUT"})
"""Whoever calls these says the id himself."""


class Links:
    """Knows all routes."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._leading = {
            part: [o.id for o in operations if _takes(o, part)]
            for part in dict.fromkeys(_PARTS.values())
        }

    def shown(self) -> dict[str, Any]:
        """Return all links, by the routes they lead to."""
        return {
            name: {
                "operationId": name,
                "parameters": {part: "$response.body#/id"},
            }
            for part, names in self._leading.items()
            for name in names
        }

    def of(self, shape: Any) -> dict[str, Any]:
        """Return where an answer of this shape leads to; often nowhere."""
        return {
            name: {"$ref": f"#/components/links/{name}"}
            for name in self._leading.get(_PARTS.get(shape, ""), ())
        }


def _takes(operation: Operation, part: str) -> bool:
    inside = [p.name for p in operation.parameters if p.where == "path"]
    return inside == [part] and operation.method not in _CHOSEN
