"""Workers die while tasks run upstream; whoever comes next looks on, and buys none.

The upstreams are the contract fakes of three providers whose calls submit tasks. One
window cannot be closed from our side: a worker killed between the moment the provider
has a task and the moment its handle is on record. It shows as a second task here, is
counted apart by what the record says, and is a fault like any other.
"""

import asyncio
import random
import time
from collections import Counter

from tests.chaos import books
from tests.chaos.report import Report
from tests.chaos.stage import Cast, Stage, on_stage

_PROVIDERS = {
    "bfl": "flux-2-pro",
    "replicate": "black-forest-labs/flux-2-pro",
    "fal": "fal-ai/flux-2",
}
_PROVIDER = """
[providers.{name}]
adapter = "{name}"
base_url = "{{{name}}}"
api_key_env = "CONTRACT_API_KEY"
timeout_s = 60
[models."chaos/{name}"]
routes = ["{name}/{model}"]
size_multiple = 16
size_min = 64
size_max = 1024
default_size = "256x256"
"""
_CATALOG = "".join(
    _PROVIDER.format(name=name, model=model) for name, model in _PROVIDERS.items()
)


async def run(
    *, jobs: int, every_s: float, takes_ms: tuple[int, int], seed: int, cast: Cast
) -> Report:
    """Kill a worker every so often while tasks of `jobs` jobs run upstream."""
    report = Report(f"resume, seed {seed}")
    others = {name: _command(name, takes_ms) for name in _PROVIDERS}
    async with on_stage(cast, others=others, catalog=_CATALOG) as stage:
        begun = time.monotonic()
        killer = asyncio.create_task(_kill(stage, every_s, random.Random(seed)))
        keeper = asyncio.create_task(stage.keep_workers_up())
        try:
            ends = await asyncio.gather(*(_one(stage, n) for n in range(jobs)))
        finally:
            killer.cancel()
            keeper.cancel()
            await asyncio.gather(killer, keeper, return_exceptions=True)
        report.note(run_s=time.monotonic() - begun)
        calls = {n: books.calls(_ledger(stage, n)) for n in _PROVIDERS}
    report.note(workers=cast.workers, slots_each=cast.slots, lease_s=cast.lease_s)
    report.note(jobs=jobs, tasks_take_ms=takes_ms, worker_kills=stage.kills["worker"])
    resumed = [end for end in ends if _interruptions(end)]
    report.note(jobs_interrupted=len(resumed))
    report.note(interruptions=sum(map(_interruptions, ends)))
    for name, made in calls.items():
        report.note(**{f"tasks_at_{name}": len(made)})
    tasks = Counter(call.prompt for made in calls.values() for call in made)
    report.expect_none("lost", [e["id"] for e in ends if e["status"] != "succeeded"])
    report.expect_none(
        "submitted_twice", [f"{n}x {prompt}" for prompt, n in tasks.items() if n > 1]
    )
    report.expect(that=len(tasks) == jobs, otherwise=f"{len(tasks)} prompts upstream")
    report.expect(that=bool(resumed), otherwise="nobody was interrupted")
    return report


async def _one(stage: Stage, number: int) -> dict:
    name = list(_PROVIDERS)[number % len(_PROVIDERS)]
    prompt = f"a fox, number {number}"
    model = f"chaos/{name}"
    job_id = await stage.client.submit(prompt, name=prompt, model=model)
    return await stage.client.final(job_id)


async def _kill(stage: Stage, every_s: float, dice: random.Random) -> None:
    while True:
        await asyncio.sleep(every_s)
        stage.kill_worker(dice.randrange(len(stage.workers)))


def _interruptions(job: dict) -> int:
    return sum(attempt["outcome"] == "interrupted" for attempt in job["attempts"])


def _command(name: str, takes_ms: tuple[int, int]) -> tuple[str, ...]:
    takes = f"{takes_ms[0]}..{takes_ms[1]}"
    ledger = f"{{folder}}/{name}.jsonl"
    module = "tests.fakes.upstreams"
    return (module, name, "--ledger", ledger, "--takes-ms", takes)


def _ledger(stage: Stage, name: str):
    return stage.folder / f"{name}.jsonl"
