"""A provider does each thing that providers have been seen to do, to many jobs.

Every kind of it happens at a provider of its own. Most are met by every third job there
and end it, under the code that says what happened. Others shut their provider for all:
there a second takes over.
"""

import asyncio
import contextlib
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.job_store import keys
from service.job_store.gates import read_gates
from tests.chaos.program import reserved_port
from tests.chaos.report import Report
from tests.chaos.stage import Cast, Stage, on_stage
from tests.fakes.certificate import make_certificate, server_context

ATTEMPTS = 2
_TIMEOUT_S = 3
_GOOD_EACH = 3
_AT_ONCE = 48
_PATIENCE_S = 900
"""Where a breaker opens, its jobs wait for one that tries, up to a minute each."""
_SETTINGS = {
    "DARKROOM_WORKER__MAX_ATTEMPTS": str(ATTEMPTS),
    "DARKROOM_WORKER__RETRY_BASE_S": "0.05",
}


@dataclass(frozen=True)
class Kind:
    """One thing that goes wrong.

    Attributes:
        fault: As the upstream knows it; or what its address is like.
        code: Of the job that met it, or of its first attempt; empty: it succeeds.
        ends: Whether the job ends with that; else another provider makes its image.
    """

    name: str
    fault: str
    code: str
    ends: bool = True

    @property
    def model(self) -> str:
        return f"chaos/{self.name}"

    @property
    def images(self) -> int:
        """How many are asked for."""
        return 2 if self.fault == "fewer" else 1


def _kinds() -> tuple[Kind, ...]:
    down, unknown, bad = (
        "provider_unavailable",
        "provider_ambiguous",
        "provider_bad_output",
    )
    ending = {
        down: ("status:500", "html:502", "status:503"),
        unknown: (
            "html:504",
            "hang",
            "hang_midway",
            "trickle",
            "reset",
            "reset_midway",
        ),
        bad: (
            *("error_under_200", "body:", "html:200", "half_image", "not_an_image"),
            *("not_base64", "bomb", "svg", "gzip_bomb", "huge"),
            *("url:http://10.0.0.1/x.png", "url:http://169.254.169.254/latest/"),
        ),
        "provider_invalid_request": ("rejected:other", "redirect:/elsewhere"),
        "content_policy": ("rejected",),
        "": ("pixel", "twice", "fewer"),
    }
    shutting = {
        "provider_throttled": (
            *("throttled", "throttled:0", "throttled:5", "throttled:9999"),
            "throttled:soon",
        ),
        "provider_auth": ("unauthorized",),
        "provider_billing": ("unpaid",),
        down: ("refusing", "untrusted"),
    }
    named = [(f, c, True) for c, fs in ending.items() for f in fs]
    named += [(f, c, False) for c, fs in shutting.items() for f in fs]
    return tuple(Kind(f"m{i}", *about) for i, about in enumerate(named))


KINDS = _kinds()

_ENTRY = """
[providers.{name}]
adapter = "openai"
base_url = "{url}"
api_key_env = "UPSTREAM_API_KEY"
timeout_s = {timeout_s}
[models."{model}"]
routes = [{routes}]
sizes = ["1024x1024"]
max_n = 4
"""


def _catalog(*, refusing: int, untrusted: int) -> str:
    """Return an entry each; the stage puts the upstream's URL where `{moody}` stands.

    Args:
        refusing: A port where nobody listens.
        untrusted: One where TLS is spoken under a certificate of nobody's.
    """
    urls = {
        "refusing": f"http://127.0.0.1:{refusing}/v1",
        "untrusted": f"https://127.0.0.1:{untrusted}/v1",
    }
    entries = []
    for kind in KINDS:
        routes = [f"{kind.name}/gpt-image-1"]
        if not kind.ends:
            routes.append("openai/gpt-image-1")
        entries.append(
            _ENTRY.format(
                name=kind.name,
                url=urls.get(kind.fault, "{moody}"),
                timeout_s=_TIMEOUT_S,
                model=kind.model,
                routes=", ".join(f'"{route}"' for route in routes),
            )
        )
    return "".join(entries)


async def run(*, jobs: int, seed: int, cast: Cast) -> Report:
    """Let so many jobs of each kind meet what its provider does, among good ones."""
    report = Report(f"provider misbehavior, seed {seed}")
    others = {"moody": _UPSTREAM}
    with tempfile.TemporaryDirectory() as folder, reserved_port() as nobody:
        async with (
            _untrusted(Path(folder)) as untrusted,
            on_stage(
                cast,
                others=others,
                catalog=_catalog(refusing=nobody, untrusted=untrusted),
                settings=_SETTINGS,
            ) as stage,
        ):
            begun = time.monotonic()
            ends = await _play(stage, jobs, random.Random(seed))
            report.note(kinds=len(KINDS), bad_jobs_each=jobs, jobs=len(ends))
            report.note(run_s=time.monotonic() - begun)
            await _settle(report, stage, ends)
    return report


_UPSTREAM = (
    *("tests.fakes.openai_upstream", "--thumbnails", "--as-told"),
    *("--ledger", "{folder}/moody.jsonl"),
)


@dataclass(frozen=True)
class _End:
    kind: Kind
    is_good: bool
    job: dict[str, Any]

    @property
    def codes(self) -> list[str | None]:
        """What each call there came to."""
        return [
            attempt.get("error_code")
            for attempt in self.job["attempts"]
            if attempt["provider"] == self.kind.name
        ]


async def _play(stage: Stage, jobs: int, dice: random.Random) -> list[_End]:
    wishes = [(kind, n, False) for kind in KINDS for n in range(jobs)]
    wishes += [
        (kind, n, True) for kind in KINDS if kind.ends for n in range(_GOOD_EACH * jobs)
    ]
    dice.shuffle(wishes)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(kind: Kind, number: int, *, good: bool) -> _End:
        prompt = f"{kind.name}, {number}" if good else f"{kind.fault} | {number}"
        async with gate:
            job_id = await stage.client.submit(
                prompt, name=f"{kind.name} {prompt}", model=kind.model, n=kind.images
            )
            job = await stage.client.final(job_id, patience_s=_PATIENCE_S)
            return _End(kind, good, job)

    return await asyncio.gather(*(one(kind, n, good=good) for kind, n, good in wishes))


async def _settle(report: Report, stage: Stage, ends: Sequence[_End]) -> None:
    report.expect_none(
        "good_jobs_lost",
        [e.job for e in ends if e.is_good and e.job["status"] != "succeeded"],
    )
    met = Counter[str]()
    for end in ends:
        if end.is_good:
            continue
        met[end.kind.name] += bool(end.codes)
        wanted = "failed" if end.kind.ends and end.kind.code else "succeeded"
        report.expect(
            that=end.job["status"] == wanted,
            otherwise=f"{end.kind.fault}: {end.job['status']} {end.job['error']}",
        )
        report.expect(
            that=set(end.codes) <= {end.kind.code or None},
            otherwise=f"{end.kind.fault}: {end.codes}",
        )
    for kind in KINDS:
        report.note(**{f"met {kind.fault}": met[kind.name]})
    report.expect_none(
        "never_met", [kind.fault for kind in KINDS if not met[kind.name]]
    )
    longest = max(len(end.job["attempts"]) for end in ends)
    report.note(most_calls_of_a_job=longest, calls_at_most=ATTEMPTS)
    report.expect(that=longest <= ATTEMPTS, otherwise=f"{longest} calls for one job")
    routes = [f"{kind.name}/gpt-image-1" for kind in KINDS]
    gates = await read_gates(stage.redis, [*routes, "openai/gpt-image-1"])
    report.expect_none(
        "permits_still_held", [n for n, gate in gates.providers.items() if gate.running]
    )
    leases = await stage.redis.zrangebyscore(keys.QUEUE, "(0", "+inf")
    report.expect_none("slots_still_held", leases)


@contextlib.asynccontextmanager
async def _untrusted(folder: Path) -> AsyncIterator[int]:
    """Serve TLS under a certificate that nobody has signed; yield the port."""

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    context = server_context(make_certificate(folder))
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
