"""`darkroom providers` and `models`: what there is, who is there, and one image."""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.imaging import sniff
from service.job_store import keys
from service.job_store.gates import Gate, tell_gates
from tests.fakes.installation import Installation
from tests.fakes.openai_upstream import KEY, OpenAIUpstream
from tests.fakes.valkey import Valkey

CATALOG = """
[providers.test]
adapter = "test"
[providers.near]
adapter = "openai"
base_url = "{url}"
api_key_env = "NEAR_KEY"
max_in_flight = 3
[models."test/fox"]
routes = ["test/test"]
sizes = ["64x64"]
price_usd = 0
[models.hen]
routes = ["near/gpt-image-1"]
features = ["generate", "quality"]
sizes = ["1536x1024", "1024x1024"]
price_usd = {{ low = 0.01, default = 0.1 }}
[aliases]
chicken = "hen"
"""


def installed(cwd: Path, url: str = "http://127.0.0.1:1", **env: str) -> Installation:
    """A catalog, keys as given, and no Redis unless one is named."""
    (cwd / "catalog.toml").write_text(CATALOG.format(url=url))
    env = {"DARKROOM_REDIS_URL": "redis://127.0.0.1:1", **env}
    return Installation(cwd, DARKROOM_CATALOG_FILE="catalog.toml", **env)


def test_the_test_provider_draws_offline_and_into_a_file(tmp_path: Path):
    here = installed(tmp_path)

    ran = here.run("providers", "test", "test", "-o", "fox.webp", "--json")

    made = json.loads(ran.stdout)
    data = (tmp_path / "fox.webp").read_bytes()
    assert ran.returncode == 0
    assert ran.stderr == "asking test/test for an image of 64x64, free\n"
    assert sniff(data) == made["content_type"] == "image/webp"
    assert (made["size"], made["size_bytes"]) == ("64x64", len(data))
    assert (made["cost_usd"], made["cost_source"]) == (0, "reported")
    assert made["ms"] >= 0


async def test_a_provider_is_asked_for_the_smallest_image_there_is(tmp_path: Path):
    async with OpenAIUpstream() as upstream:
        here = installed(tmp_path, upstream.base_url, NEAR_KEY=KEY)

        ran = await asyncio.to_thread(here.run, "providers", "test", "near")

    [asked] = upstream.requests
    assert (asked["size"], asked["quality"], asked["n"]) == ("1024x1024", "low", 1)
    assert ran.returncode == 0
    assert "image of 1024x1024, about $0.01" in ran.stderr
    assert "cost:       $0.01 (priced)\n" in ran.stdout


async def test_what_a_provider_says_instead_is_told_with_its_code(tmp_path: Path):
    async with OpenAIUpstream() as upstream:
        here = installed(tmp_path, upstream.base_url, NEAR_KEY="sk-wrong")

        ran = await asyncio.to_thread(here.run, "providers", "test", "near", "--json")

    assert ran.returncode == 1
    assert json.loads(ran.stdout)["error"]["code"] == "provider_auth"
    assert "darkroom: provider_auth: " in ran.stderr


def test_who_gives_up_is_told_that_it_may_cost_all_the_same():
    command = [sys.executable, "-m", "workers", "test", "test", "--model"]
    with subprocess.Popen(
        [*command, "test/slow-60"], stderr=subprocess.PIPE, text=True
    ) as trial:
        assert trial.stderr is not None
        asked = trial.stderr.readline()
        trial.send_signal(signal.SIGINT)
        _, rest = trial.communicate()

    assert asked == "asking test/slow-60 for an image of 16x16, free\n"
    assert rest == "darkroom: given up; the provider may bill it all the same\n"
    assert trial.returncode == 130


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("near",), "no key in NEAR_KEY"),
        (("far",), "there is no provider far: there are test, near"),
        (("test", "-o", "fox.gif"), "fox.gif must end in .png, .jpg, .jpeg, .webp"),
        (("test", "-o", "no/fox.png"), "cannot write to no: No such file or directory"),
    ],
)
def test_what_cannot_be_tried_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
):
    ran = installed(tmp_path).run("providers", "test", *arguments)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == f"darkroom: {sentence}\n"


async def test_lists_say_whose_keys_are_here_and_what_the_fleet_sees(
    tmp_path: Path, shared_valkey: Valkey, redis: Redis
):
    here = installed(tmp_path, NEAR_KEY="sk-1", DARKROOM_REDIS_URL=shared_valkey.url)
    await tell_gates(redis, {"near": Gate(max_in_flight=3)})
    seconds, _ = await redis.time()
    later_ms = (int(seconds) + 600) * 1000
    await redis.hset(keys.gate("near"), mapping={"running": 2, "closed_ms": later_ms})
    broken = {"failures": 5, "opened_ms": later_ms, "probe_ms": 0}
    await redis.hset(keys.route("near/gpt-image-1"), mapping=broken)

    providers = await asyncio.to_thread(here.answer, "providers", "list")
    models = await asyncio.to_thread(here.answer, "models", "list")
    table = await asyncio.to_thread(here.run, "providers", "list")

    test, near = providers
    assert (test["key_from"], test["models"]) == (None, ["test/fox"])
    assert (near["key_from"], near["max_in_flight"]) == ("NEAR_KEY", 3)
    assert test["has_key"] is near["has_key"] is True
    assert test["fleet"]["served"] is False
    assert (near["fleet"]["served"], near["fleet"]["running"]) == (True, 2)
    assert list(near["fleet"]["open_breakers"]) == ["near/gpt-image-1"]
    assert "2 of 3   0        closed until" in table.stdout
    fox, hen = models
    assert (fox["usable_here"], fox["usable_by_fleet"]) == (True, False)
    assert (hen["usable_here"], hen["usable_by_fleet"]) == (True, True)
    assert hen["aliases"] == ["chicken"]
    assert hen["price_usd"] == {"min": 0.01, "usual": 0.1, "max": 0.1}
    assert hen["sizes"] == ["1536x1024", "1024x1024"]


def test_lists_do_without_redis_and_say_so(tmp_path: Path):
    here = installed(tmp_path)

    providers = here.run("providers", "list")
    models = here.run("models", "list")

    assert "nothing is known of the fleet" in providers.stderr
    assert "near  openai   no   1       -        -        -" in providers.stdout
    assert "hen       0.01 to 0.1  no    -      near/gpt-image-1" in models.stdout
