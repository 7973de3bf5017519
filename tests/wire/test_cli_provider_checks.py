"""`darkroom doctor` on providers: one line for all keys, and a knock at each door."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.core.catalog import Catalog, parse_catalog
from service.doctor.findings import Finding, Grade
from service.doctor.provider_checks import provider_findings
from service.doctor.reach import reach
from tests.fakes.certificate import make_certificate, server_context

CATALOG = """
[providers.test]
adapter = "test"
[providers.near]
adapter = "openai"
base_url = "{url}/v1"
api_key_env = "NEAR_KEY"
[providers.far]
adapter = "openai"
base_url = "https://127.0.0.1:1"
api_key_env = "FAR_KEY"
[models.fox]
routes = ["near/fox", "far/fox"]
sizes = ["64x64"]
[models.hen]
routes = ["far/hen"]
sizes = ["64x64"]
"""


@pytest.fixture
def silent() -> Iterator[str]:
    """Where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def catalog(silent: str) -> Catalog:
    return parse_catalog(CATALOG.format(url=f"http://{silent}"), file="test")


@pytest.fixture
async def encrypted(tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """A host that speaks TLS, and the certificate that nobody but a test trusts."""
    file = make_certificate(tmp_path)
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=server_context(file)
    )
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", file


def look(catalog: Catalog, **environ: str) -> dict[str, Finding]:
    return {f.subject: f for f in provider_findings(catalog, environ)}


def test_without_any_key_there_is_one_warning(catalog: Catalog):
    found = look(catalog)

    assert list(found) == ["keys"]
    assert found["keys"].grade is Grade.WARNING
    assert "such as NEAR_KEY" in (found["keys"].remedy or "")


def test_one_line_says_which_keys_are_there_and_what_the_others_cost(catalog: Catalog):
    found = look(catalog, NEAR_KEY="sk-1")

    assert list(found) == ["keys", "provider near"]
    assert found["keys"] == Finding(
        Grade.OK, "keys", "near; 1 other provider has no key, so 1 model cannot be made"
    )
    assert found["provider near"].grade is Grade.OK


def test_a_provider_out_of_reach_is_a_warning_of_its_own(catalog: Catalog):
    found = look(catalog, NEAR_KEY="sk-1", FAR_KEY="sk-2")

    assert found["keys"].text == "near, far"
    assert found["provider far"].grade is Grade.WARNING
    assert found["provider far"].remedy is not None


def test_a_closed_port_and_a_host_that_is_silent_are_told_apart(silent: str):
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"https://127.0.0.1:{server.getsockname()[1]}"

    troubles = reach({"closed": closed, "silent": f"https://{silent}"}, within_s=0.2)

    assert troubles == {
        "closed": "Connection refused",
        "silent": "no answer within 0.2 s",
    }


async def test_a_certificate_must_be_one_to_trust(
    encrypted: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
):
    url, file = encrypted
    foreign = await asyncio.to_thread(reach, {"it": url})
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    ours = await asyncio.to_thread(reach, {"it": url})

    assert "not to be trusted" in (foreign["it"] or "")
    assert ours == {"it": None}
