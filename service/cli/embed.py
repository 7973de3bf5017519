"""`darkroom embed`: links for pages, signed here with the operator's own access."""

import asyncio
import functools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.context import AsJson, DataDir, read_settings, read_time, with_redis
from service.cli.failure import Failure
from service.cli.output import emit, say

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from service.settings import Settings

app = typer.Typer(help="Links that show an image in a page.", no_args_is_help=True)

_MONTH = timedelta(days=30)


@app.callback()
def _group() -> None:
    """Keep `sign` a command of its own while it is the only one."""


@app.command()
def sign(
    model: Annotated[
        str, typer.Argument(help="One that the catalog lets be embedded.")
    ],
    prompt: Annotated[str, typer.Argument(help="What is to be seen.")],
    *,
    key_id: Annotated[
        str, typer.Option("--key", metavar="ID", help="The key that pays: key_...")
    ],
    reference: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="An image to start from; may come again."),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="ISO", help="When it ends; unsaid: in 30 days."),
    ] = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Print a link that shows one image and holds no key.

    Nothing is made before somebody opens it; the key pays, once, while it is valid.
    """
    settings = read_settings(data_dir)
    now = datetime.now(UTC).replace(microsecond=0)
    expires_at = now + _MONTH if expires is None else read_time(expires)
    if expires_at <= now:
        raise Failure(f"--expires {expires} has passed", exit_code=2)
    ask = functools.partial(_path, settings, model, prompt, reference or [])
    url = _base_url(settings) + asyncio.run(ask(key_id, expires_at))
    if json:
        end = int(expires_at.timestamp())
        emit({"url": url, "expires_at": end, "key_id": key_id})
        return
    print(url)
    say(f"until {expires_at:%Y-%m-%d %H:%M %Z}, as long as {key_id} is valid")


async def _path(
    settings: "Settings",
    model: str,
    prompt: str,
    references: list[str],
    key_id: str,
    expires_at: datetime,
) -> str:
    from service.accounts import Accounts
    from service.catalog_file import load_catalog
    from service.core.embeds import Embed
    from service.core.errors import CatalogError, RequestError
    from service.intake.embeds import read_references, sign_embed

    async def signed(redis: "Redis") -> str:
        accounts = Accounts(redis, settings.limits)
        links = read_references(references)
        return sign_embed(
            Embed(model=model, prompt=prompt, references=links),
            key=await accounts.find(key_id),
            catalog=load_catalog(settings.catalog_file),
            secret=await accounts.link_secret(),
            expires_at=expires_at,
        )

    try:
        return await with_redis(settings, signed)
    except (CatalogError, RequestError) as exc:
        raise Failure(str(exc), exit_code=2) from exc
    except UnicodeEncodeError as exc:
        raise Failure("the prompt is not UTF-8 text", exit_code=2) from exc


def _base_url(settings: "Settings") -> str:
    from service.up.folder import read_runtime

    runtime = read_runtime(settings.data_dir)
    if settings.public_url is None and runtime is not None and runtime.url:
        return runtime.url
    return settings.base_url
