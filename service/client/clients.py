"""The two clients. Each of their methods is written once, where its import leads."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from service.client import batches as _batches
from service.client import endpoints as _endpoints
from service.client import events as _events
from service.client import files as _files
from service.client import jobs as _jobs
from service.client.connections import Target
from service.client.methods import Call, Stream
from service.client.patience import Patience
from service.client.running import AsyncRunner, Runner

_PATIENCE_S = 60.0


class _Methods:
    submit = Call(_jobs.submit)
    put = Call(_jobs.put)
    preview = Call(_jobs.preview)
    generate = Call(_jobs.generate)
    job = Call(_jobs.job)
    wait = Call(_jobs.wait)
    jobs = Stream(_jobs.jobs)
    cancel = Call(_jobs.cancel)
    retry = Call(_jobs.retry)
    release = Call(_jobs.release)
    delete = Call(_jobs.delete)
    image = Call(_jobs.image)
    download = Call(_jobs.download)

    events = Stream(_events.events)

    submit_batch = Call(_batches.submit_batch)
    batch = Call(_batches.batch)
    batches = Stream(_batches.batches)
    wait_batch = Call(_batches.wait_batch)
    results = Stream(_batches.results)
    cancel_batch = Call(_batches.cancel_batch)
    retry_failed = Call(_batches.retry_failed)

    upload = Call(_files.upload)
    file = Call(_files.file)
    files = Stream(_files.files)
    content = Stream(_files.content)
    delete_file = Call(_files.delete_file)

    add_endpoint = Call(_endpoints.add_endpoint)
    endpoint = Call(_endpoints.endpoint)
    endpoints = Call(_endpoints.endpoints)
    change_endpoint = Call(_endpoints.change_endpoint)
    rotate_endpoint = Call(_endpoints.rotate_endpoint)
    test_endpoint = Call(_endpoints.test_endpoint)
    remove_endpoint = Call(_endpoints.remove_endpoint)
    default_secret = Call(_endpoints.default_secret)
    deliveries = Stream(_endpoints.deliveries)
    delivery = Call(_endpoints.delivery)
    redeliver = Call(_endpoints.redeliver)


class Darkroom(_Methods):
    """A front door, for code that blocks; a context manager. Threads may share it.

    Args:
        url: None: what DARKROOM_URL says, else `http://127.0.0.1:8080`.
        key: None: what DARKROOM_API_KEY says.
        patience_s: How long a call goes on trying while the front door is away.
        busy_s: How long while it says that the key asks for too much; None: as long.
        say: Is told, now and then, why nothing goes on.

    Raises:
        DarkroomError: The URL is none, or there is no key.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        patience_s: float = _PATIENCE_S,
        busy_s: float | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        target = Target(url, key)
        patience = _patience(target, patience_s, busy_s, say)
        self.runner = Runner(target, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.runner.door.close()


class AsyncDarkroom(_Methods):
    """A front door, for code that awaits; a context manager.

    Args:
        url: See `Darkroom`.
        key: See `Darkroom`.
        patience_s: See `Darkroom`.
        busy_s: See `Darkroom`.
        say: See `Darkroom`.
        connections: How many calls may be under way at once; streams do not count.

    Raises:
        DarkroomError: The URL is none, or there is no key.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        patience_s: float = _PATIENCE_S,
        busy_s: float | None = None,
        say: Callable[[str], None] | None = None,
        connections: int = 10,
    ) -> None:
        target = Target(url, key)
        patience = _patience(target, patience_s, busy_s, say)
        self.runner = AsyncRunner(target, patience, connections=connections)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Hang up."""
        await self.runner.doors.aclose()


def _patience(
    target: Target,
    patience_s: float,
    busy_s: float | None,
    say: Callable[[str], None] | None,
) -> Patience:
    return Patience(
        host=target.host,
        away_s=patience_s,
        busy_s=patience_s if busy_s is None else busy_s,
        say=say or _say_nothing,
    )


def _say_nothing(_: str) -> None:
    """Nobody listens."""
