"""`darkroom batch`, as it is typed: what it prints, and how it ends."""

import json
from pathlib import Path

import pytest

from tests.fakes.door import SECRET, FrontDoor
from tests.fakes.terminal import Terminal
from tests.fakes.worker import FakeWorker, failing


@pytest.fixture
def terminal(door: FrontDoor) -> Terminal:
    return Terminal(door.url, SECRET)


@pytest.fixture
def prompts(tmp_path: Path) -> str:
    path = tmp_path / "prompts.txt"
    path.write_text("a fox\nan owl\na hare\n")
    return str(path)


def rows(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()]


async def test_a_file_becomes_a_folder(
    terminal: Terminal, worker: FakeWorker, prompts: str, tmp_path: Path
):
    out = str(tmp_path / "out")

    first = await terminal.types("batch", "submit", prompts, "--out", out)
    again = await terminal.types("batch", "submit", prompts, "--out", out, "--json")
    other = await terminal.types(
        "batch", "submit", prompts, "--out", out, "--size", "64x64"
    )

    assert first.out == f"3 of 3 prompts have their images: {out}/manifest.jsonl\n"
    assert "3 of 3, " in first.said
    assert again.json["batch"].startswith("batch_")
    assert (again.json["succeeded"], again.json["resumed"]) == (3, 3)
    assert other.code == 2
    assert str(other.failure).startswith(f"{out} holds the results of another file")


async def test_what_failed_is_said_and_the_next_run_tries_it_again(
    terminal: Terminal, worker: FakeWorker, prompts: str, tmp_path: Path
):
    worker.verdict = failing("content_policy")
    submit = ("batch", "submit", prompts, "--out", str(tmp_path / "out"))
    first = await terminal.types(*submit)
    worker.verdict = worker.succeed

    second = await terminal.types(*submit)

    assert first.code == 1
    assert first.failure == "3 failed: the same command tries them again"
    assert "line 2: content_policy: it did not work" in first.said
    assert second.code == 0


async def test_a_batch_goes_its_way_without_a_folder(
    terminal: Terminal, worker: FakeWorker, prompts: str
):
    let = worker.hold()
    made = await terminal.types("batch", "submit", prompts, "--no-wait")
    batch_id = made.out.strip()
    again = await terminal.types("batch", "submit", prompts, "--no-wait", "--json")
    listed = await terminal.types("batch", "list")
    status = await terminal.types("batch", "status", batch_id)
    let.set()

    watched = await terminal.types("batch", "watch", batch_id)

    assert again.json["id"] == batch_id
    [head, row] = rows(listed.out)
    assert " ".join(head) == (
        "ID STATUS CREATED LINES COMPLETED FAILED CANCELED EXPIRED COST"
    )
    assert row[:2] == [batch_id, "in_progress"]
    assert row[4:] == ["3", "0", "0", "0", "0", "$0.00"]
    assert "p50, p95:   -, -" in status.out
    assert "status:     in_progress" in status.out
    assert (watched.code, watched.out) == (0, f"{batch_id} is completed\n")
    assert "3 of 3" in watched.said


async def test_results_are_printed_or_fetched_without_the_file(
    terminal: Terminal, worker: FakeWorker, prompts: str, tmp_path: Path
):
    out, batch_id = str(tmp_path / "out"), await sent(terminal, prompts)
    fetch = ("batch", "results", batch_id, "--out", out, "--follow")

    fetched = await terminal.types(*fetch)
    (tmp_path / "out" / "00002-0.png").unlink()
    again = await terminal.types(*fetch, "--json")
    printed = await terminal.types("batch", "results", batch_id)
    told = await terminal.types("batch", "results", batch_id, "--json")

    assert "3 of 3 prompts have their images" in fetched.out
    assert (again.json["batch"], again.json["images"]) == (batch_id, 3)
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    assert {row[0]: row[1] for row in rows(printed.out)} == dict.fromkeys(
        ("1", "2", "3"), "succeeded"
    )
    assert all("/images/" in line for line in printed.out.splitlines())
    results = [json.loads(line) for line in told.out.splitlines()]
    assert {result["job"]["request"]["prompt"] for result in results} == {
        "a fox",
        "an owl",
        "a hare",
    }


async def test_a_batch_is_called_off_and_made_anew(
    terminal: Terminal, worker: FakeWorker, prompts: str
):
    worker.verdict = failing("content_policy")
    batch_id = await sent(terminal, prompts)
    watched = await terminal.types("batch", "watch", batch_id, "--json")
    worker.hold()

    retry = await terminal.types("batch", "retry-failed", batch_id, "--json")
    again = await terminal.types("batch", "retry-failed", batch_id, "--json")
    canceled = await terminal.types("batch", "cancel", retry.json["id"])
    told = await terminal.types("batch", "retry-failed", batch_id)
    listed = await terminal.types("batch", "list", "--limit", "1")
    unknown = await terminal.types("batch", "status", "batch_" + "0" * 26)
    misspelt = await terminal.types("jobs", "list", "--status", "zz")

    assert json.loads(watched.out.splitlines()[-1])["request_counts"]["failed"] == 3
    assert watched.failure == (
        "3 of 3 lines have no images: "
        f"`darkroom batch retry-failed {batch_id}` tries them again"
    )
    assert retry.json["retry_of"] == batch_id
    assert again.json["id"] == retry.json["id"]
    assert canceled.out.startswith(f"{retry.json['id']} is cancel")
    assert told.out.startswith(f"{retry.json['id']} is cancel")
    assert f"`darkroom batch retry-failed {retry.json['id']}` tries" in told.said
    assert listed.said == "these are the newest 1; --limit shows more\n"
    assert misspelt.code == 2
    assert (unknown.code, unknown.failure) == (1, "not_found: no such batch")


async def test_lines_that_are_no_prompts_are_left_out_of_what_is_sent(
    terminal: Terminal, worker: FakeWorker, tmp_path: Path
):
    file = tmp_path / "prompts.jsonl"
    file.write_text('"a fox"\n{\n')
    alone, out = tmp_path / "alone.jsonl", tmp_path / "out"
    alone.write_text("{\n")

    made = await terminal.types("batch", "submit", str(file), "--no-wait", "--json")
    nothing = await terminal.types("batch", "submit", str(alone), "--no-wait")
    neither = await terminal.types("batch", "submit", str(file))
    kept = await terminal.types("batch", "submit", str(file), "--out", str(out))

    assert made.json["request_counts"]["total"] == 1
    assert made.said.startswith("line 2 is left out: it is not JSON")
    assert kept.failure == (
        "1 failed: none of them is a prompt; put them right in a file of their own"
    )
    assert (nothing.code, nothing.failure) == (2, "no line is a prompt")
    assert (neither.code, neither.failure) == (2, "say either --out or --no-wait")


async def sent(terminal: Terminal, prompts: str) -> str:
    made = await terminal.types("batch", "submit", prompts, "--no-wait")
    return made.out.strip()
