"""A trace goes with a job, from its caller through the queue to whoever is told."""

import asyncio
import signal
import sys
from base64 import b64encode
from typing import NamedTuple

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service import tracing
from tests.fakes.door import SECRET, front_door
from tests.fakes.front_process import front_process
from tests.fakes.images import encoded, noise
from tests.fakes.postman import LOOPBACK, postman, quick
from tests.fakes.receiver import Receiver
from tests.fakes.studio import studio

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ABOVE = f"00-{TRACE}-{CALLER}-01"
CATALOG = """
[providers.near]
adapter = "openai"
base_url = "{url}/v1"
[models.fox]
routes = ["near/fox"]
sizes = ["64x64"]
"""


class Upstream(NamedTuple):
    url: str
    heard: list[str]


@pytest.fixture
def spans():
    """Collect them in memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.use(None)
    provider.shutdown()


@pytest.fixture
async def upstream():
    """An images API that remembers which traces it was called in."""
    heard, image = list[str](), encoded(noise(64, 64), "PNG")

    async def generate(request: web.Request) -> web.Response:
        heard.append(request.headers.get("traceparent", ""))
        return web.json_response({"data": [{"b64_json": b64encode(image).decode()}]})

    app = web.Application()
    app.router.add_post("/v1/images/generations", generate)
    async with TestServer(app) as server:
        yield Upstream(str(server.make_url("")).rstrip("/"), heard)


async def test_one_trace_reaches_from_the_caller_to_provider_and_webhook(
    redis, shared_valkey, tmp_path, spans, upstream
):
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG.format(url=upstream.url))
    async with front_door(
        shared_valkey.url,
        tmp_path,
        catalog_file=catalog,
        outbound=LOOPBACK,
        webhooks=quick(),
    ) as door:
        secret = (await door.get("/v1/webhooks/default/secret")).body["key"]
        async with (
            studio(door.settings),
            postman(door.settings),
            Receiver(secret) as receiver,
        ):
            wish = {
                "model": "fox",
                "prompt": "a fox",
                "size": "64x64",
                "webhook": {"url": receiver.url},
            }
            made = await door.post("/v1/jobs", wish, traceparent=ABOVE)
            [told] = await receiver.until(1)
    [asked] = upstream.heard

    ours = [
        s for s in spans.get_finished_spans() if s.context.trace_id == int(TRACE, 16)
    ]
    named = {span.name: span for span in ours}
    request, attempt = named["POST /v1/jobs"], named["attempt"]
    assert made.status == 202
    assert request.parent.span_id == int(CALLER, 16)
    assert attempt.parent.span_id == request.context.span_id
    assert named["generate near"].parent.span_id == attempt.context.span_id
    assert named["deliver"].parent.span_id == request.context.span_id
    assert asked == f"00-{TRACE}-{named['generate near'].context.span_id:016x}-01"
    assert told.headers["traceparent"].startswith(f"00-{TRACE}-")
    assert attempt.attributes["darkroom.job_id"] == made.body["id"]
    assert request.attributes["http.status_code"] == 202


async def test_without_tracing_nothing_is_told_to_others(
    redis, shared_valkey, tmp_path, upstream
):
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG.format(url=upstream.url))
    wish = {"model": "fox", "prompt": "a fox", "size": "64x64"}
    async with (
        front_door(shared_valkey.url, tmp_path, catalog_file=catalog) as door,
        studio(door.settings),
    ):
        made = await door.post("/v1/jobs", wish, traceparent=ABOVE)
        await door.get(f"/v1/jobs/{made.body['id']}?wait=10")
        odd = await door.post("/v1/jobs", wish, traceparent="00-nonsense")
    stored = await redis.hget(f"darkroom:job:{made.body['id']}", "traceparent")
    nothing = await redis.hget(f"darkroom:job:{odd.body['id']}", "traceparent")

    assert stored == ABOVE.encode()
    assert nothing is None
    assert set(upstream.heard) == {""}


async def test_a_process_logs_the_trace_and_sends_its_spans(
    redis, shared_valkey, tmp_path
):
    sent = list[str]()

    async def collect(request: web.Request) -> web.Response:
        told = ExportTraceServiceRequest.FromString(await request.read())
        for resource in told.resource_spans:
            for scope in resource.scope_spans:
                sent.extend(f"{s.name} {s.trace_id.hex()}" for s in scope.spans)
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", collect)
    async with (
        TestServer(app) as collector,
        front_process(
            shared_valkey.url,
            tmp_path,
            DARKROOM_BOOTSTRAP_KEY=SECRET,
            DARKROOM_TRACING="true",
            OTEL_EXPORTER_OTLP_ENDPOINT=str(collector.make_url("")),
            OTEL_EXPORTER_OTLP_COMPRESSION="none",
        ) as door,
        aiohttp.ClientSession() as http,
    ):
        port = (await door.event("door.opened"))["port"]
        headers = {"Authorization": f"Bearer {SECRET}", "traceparent": ABOVE}
        wish = {"model": "test/test", "prompt": "a fox"}
        url = f"http://127.0.0.1:{port}/v1/jobs"
        async with http.post(url, json=wish, headers=headers) as answer:
            job = (await answer.json())["id"]
            request_id = answer.headers["x-request-id"]
        line = await door.event("request.finished")
        door.signal(signal.SIGTERM)
        code, _ = await door.ended()

    told = {name: line[name] for name in ("request_id", "job_id", "trace_id")}
    assert told == {"request_id": request_id, "job_id": job, "trace_id": TRACE}
    assert code == 0
    assert sent == [f"POST /v1/jobs {TRACE}"]


async def test_without_the_extra_the_start_names_the_setting_and_the_remedy():
    script = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from service.__main__ import main; main()"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script),
        env={"DARKROOM_TRACING": "true", "DARKROOM_PORT": "0"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()

    assert process.returncode == 2
    assert b"DARKROOM_TRACING needs OpenTelemetry" in said
    assert b"pip install 'darkroom[otel]'" in said
