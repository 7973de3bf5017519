"""Endpoints, which hear of all that happens, and what was sent to them."""

from collections.abc import Sequence
from typing import Any

from service.client.bodies import Json
from service.client.fields import named
from service.client.holdings import Delivery, Endpoint
from service.client.steps import (
    Feed,
    Flow,
    Request,
    asked,
    json_of,
    listed,
    object_of,
    route,
)


def add_endpoint(
    url: str,
    *,
    events: Sequence[str] | None = None,
    description: str | None = None,
    secret: str | None = None,
    idempotency_key: str | None = None,
) -> Flow[Endpoint]:
    """Have events sent to a URL; the answer, and it alone, holds the secret.

    Args:
        url: An https: URL on the public internet.
        events: Types such as `job.succeeded`; None: all but those of progress.
        description: Your own note.
        secret: One that you have already; None: one is made.
        idempotency_key: Your own name for the call, under which your own tries, too,
            find the endpoint that the first one made; None: one is made for it.
    """
    body = _body(
        url=url,
        events=None if events is None else list(events),
        description=description,
        secret=secret,
    )
    path, headers = route("endpoints"), named(idempotency_key)
    return asked(
        Endpoint, Request(method="POST", path=path, headers=headers, body=body)
    )


def endpoint(endpoint_id: str) -> Flow[Endpoint]:
    """Return an endpoint as it stands."""
    return asked(Endpoint, Request(path=route("endpoints", endpoint_id)))


def endpoints() -> Flow[list[Endpoint]]:
    """Return all endpoints, oldest first."""
    page = json_of((yield Request(path=route("endpoints"))))
    return [object_of(Endpoint, raw) for raw in page.get("data", [])]


def change_endpoint(
    endpoint: Endpoint | str,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    description: str | None = None,
    status: str | None = None,
) -> Flow[Endpoint]:
    """Change what is named; `status` is `enabled` or `disabled`."""
    body = _body(
        url=url,
        events=None if events is None else list(events),
        description=description,
        status=status,
    )
    path = route("endpoints", _id_of(endpoint))
    return asked(Endpoint, Request(method="PATCH", path=path, body=body))


def rotate_endpoint(
    endpoint: Endpoint | str,
    *,
    secret: str | None = None,
    overlap_s: int | None = None,
) -> Flow[Endpoint]:
    """Give an endpoint another secret; the answer, and it alone, holds it.

    Args:
        endpoint: Which.
        secret: The new one; None: one is made.
        overlap_s: For so long the old one signs as well; None: a day.
    """
    path = route("endpoints", _id_of(endpoint), "rotate")
    body = _body(secret=secret, overlap_s=overlap_s)
    return asked(Endpoint, Request(method="POST", path=path, body=body, is_once=True))


def test_endpoint(endpoint: Endpoint | str) -> Flow[Delivery]:
    """Send an endpoint an event that means nothing."""
    path = route("endpoints", _id_of(endpoint), "test")
    return asked(Delivery, Request(method="POST", path=path))


def remove_endpoint(endpoint: Endpoint | str) -> Flow[None]:
    """Remove an endpoint."""
    yield Request(method="DELETE", path=route("endpoints", _id_of(endpoint)))


def default_secret() -> Flow[str]:
    """Return what signs the webhooks of jobs and batches that name no secret."""
    response = yield Request(path=route("webhooks", "default", "secret"))
    secret: str = json_of(response)["key"]
    return secret


def deliveries(
    *,
    endpoint: str | None = None,
    status: str | None = None,
    job: str | None = None,
    type: str | None = None,  # noqa: A002 as the route calls it
    limit: int | None = None,
) -> Feed[Delivery]:
    """Yield deliveries, newest first: of an endpoint, a job, a type or a status.

    Args:
        endpoint: An endpoint's id.
        status: `pending`, `delivered` or `failed`.
        job: A job's id.
        type: Of the event.
        limit: At most so many; None: all.
    """
    params = {"endpoint": endpoint, "status": status, "job": job, "type": type}
    return listed(Delivery, route("deliveries"), params=params, limit=limit)


def delivery(delivery_id: str) -> Flow[Delivery]:
    """Return a delivery with its log."""
    return asked(Delivery, Request(path=route("deliveries", delivery_id)))


def redeliver(delivery: Delivery | str) -> Flow[Delivery]:
    """Send an event once more, whatever became of it so far."""
    name = delivery.id if isinstance(delivery, Delivery) else delivery
    path = route("deliveries", name, "redeliver")
    return asked(Delivery, Request(method="POST", path=path))


def _body(**fields: Any) -> Json:
    return Json({name: value for name, value in fields.items() if value is not None})


def _id_of(endpoint: Endpoint | str) -> str:
    return endpoint.id if isinstance(endpoint, Endpoint) else endpoint
