"""`darkroom keys`: make, list and revoke API keys, in Redis itself."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.context import (
    AsJson,
    DataDir,
    read_catalog,
    read_settings,
    read_time,
    with_redis,
)
from service.cli.failure import Failure
from service.cli.output import emit, print_table, say

if TYPE_CHECKING:
    from service.accounts import ApiKey, Grant
    from service.settings import Settings

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


@app.command()
def create(
    *,
    account: Annotated[
        str, typer.Option(help="Who owns the key, its jobs and its quota.")
    ] = "default",
    scope: Annotated[
        str, typer.Option(metavar="S,S", help="Some of generate, embed, admin.")
    ] = "generate",
    requests_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    queued_jobs: Annotated[
        int | None, typer.Option(min=1, help="Most unfinished jobs.")
    ] = None,
    running_jobs: Annotated[
        int | None, typer.Option(min=1, help="Most jobs in work at once.")
    ] = None,
    quota_units: Annotated[
        int | None, typer.Option(min=0, help="Units per calendar month (UTC).")
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(metavar="M,M", help="Models it may ask for; unsaid: all."),
    ] = None,
    weight: Annotated[
        int, typer.Option(min=1, help="Share of the fleet next to other accounts.")
    ] = 1,
    on_ambiguous: Annotated[
        str,
        typer.Option(
            metavar="retry|fail|hold",
            help="What to do where nobody knows whether images were bought.",
        ),
    ] = "retry",
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="ISO", help="When it ends: 2027-01-31, 2027-01-31T12:00Z."
        ),
    ] = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Make an API key and show it, this once."""
    settings = read_settings(data_dir)
    grant = _grant(
        account=account,
        scopes=_words(scope),
        requests_per_minute=requests_per_minute,
        queued_jobs=queued_jobs,
        running_jobs=running_jobs,
        quota_units=quota_units,
        models=None if models is None else _canonical(settings, _words(models)),
        weight=weight,
        on_ambiguous=on_ambiguous,
        expires_at=None if expires is None else read_time(expires),
    )
    key, secret = asyncio.run(_create(settings, grant))
    if json:
        emit({"id": key.id, "key": secret, **_described(key)})
        return
    print(secret)
    say(f"{key.id} of account {key.account}; the key is not shown again")


@app.command("list")
def list_keys(data_dir: DataDir = None, json: AsJson = False) -> None:
    """List all keys, revoked and expired ones too; their secrets nobody knows."""
    keys = asyncio.run(_list(read_settings(data_dir)))
    if json:
        emit([{"id": key.id, **_described(key)} for key in keys])
        return
    print_table(
        ["ID", "ACCOUNT", "SCOPES", "IF AMBIGUOUS", "CREATED", "STATE"],
        [
            (
                key.id,
                key.account,
                " ".join(sorted(key.scopes)),
                key.on_ambiguous.value,
                f"{key.created_at:%Y-%m-%d %H:%M}",
                _state(key),
            )
            for key in keys
        ],
    )


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="key_...")],
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Refuse a key from now on, within five seconds."""
    key = asyncio.run(_revoke(read_settings(data_dir), key_id))
    if key is None:
        raise Failure(f"there is no key {key_id}: `darkroom keys list` names all")
    if json:
        emit({"id": key.id, **_described(key)})
    else:
        print(f"{key.id} is revoked")


async def _create(settings: "Settings", grant: "Grant") -> "tuple[ApiKey, str]":
    from service.accounts import Accounts

    return await with_redis(
        settings, lambda redis: Accounts(redis, settings.limits).create(grant)
    )


async def _list(settings: "Settings") -> "list[ApiKey]":
    from service.accounts import Accounts

    return await with_redis(
        settings, lambda redis: Accounts(redis, settings.limits).list()
    )


async def _revoke(settings: "Settings", key_id: str) -> "ApiKey | None":
    from service.accounts import Accounts

    return await with_redis(
        settings, lambda redis: Accounts(redis, settings.limits).revoke(key_id)
    )


def _grant(*, scopes: frozenset[str], on_ambiguous: str, **given: Any) -> "Grant":
    from service.accounts import Grant, Scope
    from service.core.retries import OnAmbiguous

    unknown = scopes - set(Scope)
    if unknown:
        raise Failure(
            f"unknown scope {', '.join(sorted(unknown))}: there are {', '.join(Scope)}",
            exit_code=2,
        )
    if on_ambiguous not in set(OnAmbiguous):
        raise Failure(
            f"--on-ambiguous {on_ambiguous} is none of {', '.join(OnAmbiguous)}",
            exit_code=2,
        )
    try:
        return Grant(
            scopes=frozenset(Scope(scope) for scope in scopes),
            on_ambiguous=OnAmbiguous(on_ambiguous),
            **given,
        )
    except ValueError as exc:
        raise Failure(str(exc), exit_code=2) from exc


def _canonical(settings: "Settings", names: frozenset[str]) -> frozenset[str]:
    from service.core.errors import UnknownModel

    catalog = read_catalog(settings)
    try:
        return frozenset(catalog.model(name).name for name in names)
    except UnknownModel as exc:
        raise Failure(str(exc), exit_code=2) from exc


def _words(given: str) -> frozenset[str]:
    return frozenset(word.strip() for word in given.split(",") if word.strip())


def _described(key: "ApiKey") -> dict[str, Any]:
    return {
        "account": key.account,
        "scopes": sorted(key.scopes),
        "requests_per_minute": key.requests_per_minute,
        "queued_jobs": key.queued_jobs,
        "running_jobs": key.running_jobs,
        "quota_units": key.quota_units,
        "models": None if key.models is None else sorted(key.models),
        "weight": key.weight,
        "on_ambiguous": key.on_ambiguous,
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at and key.expires_at.isoformat(),
        "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
    }


def _state(key: "ApiKey") -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        return "expired"
    return "valid"
