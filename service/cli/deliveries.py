"""`darkroom endpoints deliveries`: what was sent, what came back, and once more."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.asking import ask
from service.cli.context import AsJson, DataDir
from service.cli.output import emit, print_facts, print_status, print_table, when
from service.cli.target import Url

if TYPE_CHECKING:
    from service.client import AsyncDarkroom, Delivery, DeliveryAttempt


def deliveries(
    delivery_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]", help="dlv_...: show this one.", show_default=False
        ),
    ] = None,
    *,
    endpoint: Annotated[
        str | None, typer.Option(metavar="ID", help="To this one.", show_default=False)
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(help="pending, delivered or failed.", show_default=False),
    ] = None,
    job: Annotated[
        str | None,
        typer.Option(metavar="ID", help="About this job.", show_default=False),
    ] = None,
    event: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="Such as job.failed.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List what was sent, newest first, or show one delivery with all its attempts."""
    if delivery_id is not None:
        one = ask(url, data_dir, lambda client: client.delivery(delivery_id))
        _print_log(one, json=json)
        return

    async def listed(client: "AsyncDarkroom") -> list["Delivery"]:
        found = client.deliveries(
            endpoint=endpoint, status=status, job=job, type=event, limit=limit
        )
        return [delivery async for delivery in found]

    found = ask(url, data_dir, listed)
    if json:
        emit([delivery.raw for delivery in found])
        return
    print_table(
        ["ID", "STATUS", "ATTEMPTS", "CREATED", "TYPE", "TO"],
        [
            (
                delivery.id,
                delivery.status,
                delivery.attempts,
                when(delivery.created_at),
                delivery.type,
                delivery.endpoint_id or delivery.url,
            )
            for delivery in found
        ],
    )


def redeliver(
    delivery_id: Annotated[str, typer.Argument(metavar="ID", help="dlv_...")],
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Send an event once more, whatever became of it so far."""
    sent = ask(url, data_dir, lambda client: client.redeliver(delivery_id))
    print_status(sent, json=json)


def _print_log(delivery: "Delivery", *, json: bool) -> None:
    if json:
        emit(delivery.raw)
        return
    print_facts(
        [
            ("id", delivery.id),
            ("status", delivery.status),
            *([("reason", delivery.reason)] if delivery.reason else []),
            ("event", f"{delivery.type} {delivery.event_id}"),
            ("about", delivery.job_id or delivery.batch_id),
            ("to", delivery.url or delivery.endpoint_id),
            ("created", when(delivery.created_at)),
            ("next", when(delivery.next_attempt_at)),
            *((f"attempt {attempt.n}", _attempt(attempt)) for attempt in delivery.log),
        ]
    )


def _attempt(attempt: "DeliveryAttempt") -> str:
    outcome = attempt.status if attempt.error in {None, "status"} else attempt.error
    said = f": {attempt.answer}" if attempt.answer else ""
    return f"{when(attempt.at)} {outcome} after {attempt.ms} ms{said}"
