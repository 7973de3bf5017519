"""What every test may ask for: a real Valkey, an empty one, and the jobs on it.

A busy machine fails no property: nothing here asks how long an example took.
"""

import os
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis

from service.job_store import JobStore
from service.job_store.leases import Leases
from tests.fakes import canaries
from tests.fakes.valkey import Valkey


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test in whose logs a secret stands, whatever it is about."""
    report = yield
    logged = "".join(text for name, text in report.sections if "Captured" in name)
    if report.passed and (leaked := canaries.leaks(logged)):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: secrets were logged: {leaked}"
    if call.when == "teardown":
        canaries.forget()
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have recorded as `said`, from other processes too."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "said":
                terminalreporter.write_line(str(text))


settings.register_profile(
    "darkroom",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("darkroom")


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[Valkey]:
    """One server for the whole run; use `valkey` unless state is no matter."""
    server = Valkey().start()
    yield server
    written = canaries.keys_in(server.folder)
    server.close()
    assert not written, f"secrets were written to Redis: {written}"


@pytest.fixture
async def redis(shared_valkey: Valkey) -> AsyncIterator[Redis]:
    """A connection to an empty real Valkey."""
    client = Redis.from_url(shared_valkey.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A server of the test's own, to be killed or frozen."""
    server = Valkey().start()
    yield server
    server.close()


@pytest.fixture
async def store(redis: Redis) -> AsyncIterator[JobStore]:
    """The jobs on `redis`."""
    store = JobStore(redis)
    yield store
    await store.aclose()


@pytest.fixture
async def leases(redis: Redis) -> AsyncIterator[Leases]:
    """What a worker with a hundred slots holds of them."""
    leases = Leases(redis, worker="w", slots=100)
    yield leases
    await leases.aclose()
