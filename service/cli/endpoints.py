"""`darkroom endpoints`: where events are sent to, and what arrived."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import deliveries
from service.cli.asking import ask
from service.cli.context import AsJson, DataDir
from service.cli.events import split
from service.cli.output import emit, print_status, print_table, say, when
from service.cli.target import Url

if TYPE_CHECKING:
    from service.client import Endpoint

app = typer.Typer(
    help="Webhooks: where events are sent to, and what arrived.", no_args_is_help=True
)

EndpointId = Annotated[str, typer.Argument(metavar="ID", help="ep_...")]


@app.command()
def add(
    to: Annotated[str, typer.Argument(metavar="URL", help="An https:// URL.")],
    *,
    events: Annotated[
        str | None,
        typer.Option(
            metavar="T,T",
            help="Types of events; unsaid: all but job.started and job.progress.",
            show_default=False,
        ),
    ] = None,
    description: Annotated[
        str | None, typer.Option(help="Your own note.", show_default=False)
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Send events to a URL; print the secret that signs them, this once."""
    wanted = split(events) or None
    endpoint = ask(
        url,
        data_dir,
        lambda client: client.add_endpoint(to, events=wanted, description=description),
    )
    _print_secret(endpoint, json=json)


@app.command("list")
def list_endpoints(
    url: Url = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """List all endpoints."""
    endpoints = ask(url, data_dir, lambda client: client.endpoints())
    if json:
        emit([endpoint.raw for endpoint in endpoints])
        return
    print_table(
        ["ID", "STATUS", "FAILING SINCE", "EVENTS", "URL"],
        [
            (
                endpoint.id,
                endpoint.status,
                when(endpoint.failing_since),
                " ".join(endpoint.events),
                endpoint.url,
            )
            for endpoint in endpoints
        ],
    )


@app.command()
def rotate(
    endpoint_id: EndpointId,
    *,
    overlap: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="So long the old secret signs as well; unsaid: a day.",
            show_default=False,
        ),
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Give an endpoint another secret and print it, this once."""
    endpoint = ask(
        url,
        data_dir,
        lambda client: client.rotate_endpoint(endpoint_id, overlap_s=overlap),
    )
    _print_secret(endpoint, json=json)


@app.command("test")
def try_out(
    endpoint_id: EndpointId,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Send an endpoint an event that means nothing."""
    sent = ask(url, data_dir, lambda client: client.test_endpoint(endpoint_id))
    print_status(sent, json=json)


@app.command()
def enable(
    endpoint_id: EndpointId,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Send events to an endpoint again that was disabled."""
    endpoint = ask(
        url,
        data_dir,
        lambda client: client.change_endpoint(endpoint_id, status="enabled"),
    )
    print_status(endpoint, json=json)


@app.command()
def remove(
    endpoint_id: EndpointId,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Remove an endpoint; what is on its way to it is not sent any more."""
    ask(url, data_dir, lambda client: client.remove_endpoint(endpoint_id))
    if json:
        emit({"id": endpoint_id, "deleted": True})
    else:
        print(f"{endpoint_id} is removed")


def _print_secret(endpoint: "Endpoint", *, json: bool) -> None:
    if json:
        emit(endpoint.raw)
        return
    print(endpoint.secret)
    say(f"{endpoint.id} hears of {' '.join(endpoint.events)}")
    say("the secret is not shown again")
    if endpoint.old_secret_until:
        say(f"the old one signs as well until {when(endpoint.old_secret_until)}")


app.command()(deliveries.deliveries)
app.command()(deliveries.redeliver)
