"""`darkroom up` starts everything, keeps it alive, and leaves nothing behind."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.cli.greeting import curl
from tests.fakes.installation import Installation

FAMILY = (
    "-P -m workers$",
    "-P -m service$",
    "-P -m service.embedded",
    "valkey-server un",
)


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """Make an installation in a folder of its own."""
    made: list[Installation] = []

    def install(**env: str) -> Installation:
        made.append(Installation(tmp_path, **env))
        return made[-1]

    yield install
    for installation in made:
        installation.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One that runs, for whoever does it no harm."""
    here = Installation(tmp_path_factory.mktemp("running"), OPENAI_API_KEY="")
    here.up()
    yield here
    here.close()


def entries(manifest: Path) -> list[dict[str, Any]]:
    """Whole lines of a manifest, by the line of their prompt."""
    if not manifest.exists():
        return []
    whole = manifest.read_text().split("\n")[:-1]
    return sorted(map(json.loads, whole), key=lambda entry: entry["line"])


def kill_one(here: Installation, who: str) -> None:
    """Kill one process of the kind, as soon as there is one."""
    until(lambda: here.pids_of(who))
    before = here.pids_of(who)[0]
    os.kill(before, signal.SIGKILL)
    until(lambda: before not in here.pids_of(who))


def until(is_so: Callable[[], object]) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_newcomer_gets_an_image_without_setting_anything(running):
    here = running

    made = here.answer("generate", "a fox", "--size", "64x64")

    [image] = made["images"]
    assert made["status"] == "succeeded"
    assert (here.cwd / image["file"]).stat().st_size > 0
    assert Path(here.said["key_file"]).stat().st_mode & 0o777 == 0o600
    assert Path(here.said["key_file"]).read_text().strip() == here.said["key"]
    kept = [here.folder / name for name in ("appendonlydir", "images", "logs")]
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o700}


def test_sigterm_leaves_no_process(install):
    here = install()
    here.up("--workers", "2")

    code = here.end(signal.SIGTERM)

    assert code == 0
    assert here.left_over() == set()
    assert not (here.folder / "valkey.sock").exists()


def test_a_second_signal_waits_for_no_job(install):
    here = install()
    here.up()

    with here.started("generate", "a snail", "--model", "test/slow-60"):
        until(lambda: here.answer("jobs", "list", "--status", "running"))
        here.signal(signal.SIGTERM)
        until(lambda: "stopping" in (here.cwd / "stderr.txt").read_text())
        code = here.end(signal.SIGINT)

    assert code == 0
    assert here.left_over() == set()


def test_sigkill_leaves_no_process(install):
    here = install()
    here.up()

    here.end(signal.SIGKILL)

    assert here.left_over() == set()


def test_a_restart_keeps_jobs_images_and_the_key(install):
    here = install()
    here.up()
    made = here.answer("generate", "a fox", "--size", "64x64")
    key = here.said["key"]
    here.end(signal.SIGKILL)

    here.up()

    job = here.answer("jobs", "show", made["job_id"])
    image = job["result"]["data"][0]
    assert job["status"] == "succeeded"
    assert image["sha256"] == made["images"][0]["sha256"]
    assert image["url"].startswith(here.said["url"])
    assert here.said["key"] is None
    assert Path(here.said["key_file"]).read_text().strip() == key


def test_a_second_up_on_the_folder_says_where_the_first_one_is(running):
    second = running.run("up", "--port", "0")

    assert second.returncode == 1
    url = running.said["url"]
    assert second.stderr.startswith(f"darkroom: already running at {url} (pid ")


def test_whoever_is_killed_comes_back(install):
    here = install()
    here.up()

    for who in FAMILY:
        kill_one(here, who)
        until(lambda who=who: here.pids_of(who))
        made = here.answer("generate", "a fox", "--size", "64x64")
        assert made["status"] == "succeeded", who

    assert here.end() == 0
    assert here.left_over() == set()


def test_a_batch_outlives_kills_of_everybody_and_its_own(install):
    here = install(DARKROOM_WORKER__LEASE_S="2", DARKROOM_WORKER__MAX_JOBS="4")
    here.up("--workers", "2")
    prompts = [f' a "fox" № {number}' for number in range(40)]
    (here.cwd / "p.txt").write_text("\n".join(prompts))
    submit = ("batch", "submit", "p.txt", "--out", "out", "--model", "test/slow-1")
    manifest = here.cwd / "out" / "manifest.jsonl"

    with here.started(*submit):
        for number, who in enumerate(FAMILY, start=1):
            until(lambda least=number: len(entries(manifest)) >= least)
            kill_one(here, who)
    summary = here.answer(*submit)

    jobs = here.answer("jobs", "list", "--limit", "100")
    assert (summary["succeeded"], summary["failed"]) == (40, 0)
    assert sorted(entry["prompt"] for entry in entries(manifest)) == sorted(prompts)
    assert len(jobs) == 40
    assert here.answer(*submit)["resumed"] == 40


def test_the_preset_key_works_and_has_all_scopes(install):
    here = install(DARKROOM_BOOTSTRAP_KEY="sk_of_my_own_choice")

    here.up()

    [key] = here.answer("keys", "list")
    assert here.said["key"] == "sk_of_my_own_choice"
    assert key["scopes"] == ["admin", "embed", "generate"]
    assert here.answer("jobs", "list") == []


def test_a_path_too_long_for_a_socket_is_no_matter(install):
    here = install()
    here.folder = here.cwd / ("d" * 60) / ("é b" * 15)

    here.up("--data-dir", str(here.folder))

    made = here.answer("generate", "a", "--data-dir", str(here.folder))
    assert made["status"] == "succeeded"
    assert here.end() == 0


@pytest.mark.skipif(
    shutil.which("curl") is None and "CI" not in os.environ, reason="needs curl"
)
@pytest.mark.parametrize("start", ["first", "later"])
def test_the_printed_line_makes_an_image_when_pasted(running, start: str):
    key, kept = running.said["key"], Path(running.said["key_file"])
    line = curl(running.said["url"], key if start == "first" else None, kept)

    pasted = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=True
    )

    [image] = json.loads(pasted.stdout)["data"]
    opened = httpx.get(image["url"]).content
    assert hashlib.sha256(opened).hexdigest() == image["sha256"]


def test_a_key_can_be_made_listed_and_revoked(running):
    made = running.answer(
        *("keys", "create", "--account", "bob", "--scope", "generate,embed"),
        *("--models", "test/test", "--expires", "2999-01-31", "--weight", "3"),
        *("--running-jobs", "2", "--on-ambiguous", "hold"),
    )
    revoked = running.answer("keys", "revoke", made["id"])

    listed = {key["id"]: key for key in running.answer("keys", "list")}
    assert made["key"].startswith("sk_")
    assert made["account"] == "bob"
    assert made["scopes"] == ["embed", "generate"]
    assert made["expires_at"] == "2999-01-31T00:00:00+00:00"
    assert made["running_jobs"] == 2
    assert made["on_ambiguous"] == "hold"
    assert revoked["revoked_at"] is not None
    assert listed[made["id"]] == revoked
    assert running.run("keys", "revoke", "key_0").returncode == 1


def test_doctor_finds_a_running_system_well(running):
    findings = running.answer("doctor")

    grades = {finding["subject"]: finding["grade"] for finding in findings}
    assert findings[0]["subject"] == "keys"
    assert "such as OPENAI_API_KEY" in findings[0]["remedy"]
    assert {s for s, grade in grades.items() if grade == "ok"} == {
        *("python", "disk", "catalog", "redis", "workers", "store")
    }


def test_a_taken_port_is_one_sentence(install):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        ran = install().run("up", "--port", str(port))

    assert ran.returncode == 2
    assert ran.stderr == (
        f"darkroom: port {port} is taken: name another with --port (0: any free one)\n"
    )


@pytest.mark.parametrize(
    ("env", "options", "sentence"),
    [
        (
            {},
            ("--data-dir", "/dev/null/x"),
            "cannot write to the data folder /dev/null/x: Not a directory",
        ),
        ({"DARKROOM_NIX": "1"}, (), "unknown setting DARKROOM_NIX"),
        (
            {"DARKROOM_CATALOG_FILE": "/nowhere.toml"},
            (),
            "there is no catalog file /nowhere.toml",
        ),
        (
            {"DARKROOM_BOOTSTRAP_KEY": "a b"},
            (),
            "DARKROOM_BOOTSTRAP_KEY must be 16 to 256 visible",
        ),
    ],
)
def test_what_cannot_start_says_why_in_one_line(
    install, env: dict[str, str], options: tuple[str, ...], sentence: str
):
    ran = install(**env).run("up", "--port", "0", *options)

    assert ran.returncode == 2
    assert ran.stderr.startswith(f"darkroom: {sentence}")
    assert ran.stderr.count("\n") == 1
    assert ran.stdout == ""
