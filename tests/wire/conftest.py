"""The object stores that tests on the wire may ask for, one of each a run."""

import os
from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from tests.fakes import swift as openstack
from tests.fakes.stands import S3Place


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Place]:
    """An S3 API that covers much and checks neither signature nor expiry."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    place = S3Place(
        url=f"http://{host}:{port}",
        key_id="anybody",
        secret="anything",
        checks_signatures=False,
    )
    yield place
    place.close()
    server.stop()


@pytest.fixture(scope="session")
def swift() -> Iterator[S3Place]:
    """An S3 API that checks signatures; a laptop may do without it, CI may not."""
    if not openstack.is_installed():
        assert "CI" not in os.environ, "CI needs Debian's python3-swift"
        pytest.skip("OpenStack Swift (python3-swift) is not installed")
    server = openstack.Swift().start()
    place = S3Place(
        url=server.url,
        key_id=openstack.ACCESS_KEY_ID,
        secret=openstack.SECRET_ACCESS_KEY,
        checks_signatures=True,
    )
    yield place
    place.close()
    server.close()
