"""What the dashboard's pages are made of: files as published, words, pictures."""

import ast
import hashlib
import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.api.dashboard import advice, words
from service.api.dashboard.activity import Hour
from service.api.dashboard.rendering import environment, policy_of
from service.api.dashboard.snippets import snippets_of
from service.api.dashboard.timeline import timeline_of
from service.api.openapi.codes import FAILED
from service.core.jobs import Attempt, Job, JobId, JobState
from service.core.requests import GenerationRequest, Priority
from service.events import Event
from service.events.positions import first_of

HOME = Path(advice.__file__).parent
VENDORED = {
    "htmx.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "htmx.LICENSE": "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
    "uplot.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uplot.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uplot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}
TEMPLATES = sorted((HOME / "templates").glob("*.html"))
MADE = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_what_others_wrote_lies_there_as_they_published_it():
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (HOME / "static" / "vendor").iterdir()
    }

    assert found == VENDORED


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_nothing_that_the_policy_forbids(path: Path):
    text = path.read_text()

    environment().get_template(path.name)
    assert not re.search(
        r"\sstyle=|<style|\son\w+=|hx-on|javascript:|hx-vals=.js", text
    )
    assert not re.search(r"<script(?! src=\"\{\{ asset\()", text)
    assert not re.search(r"hx-trigger=\"[^\"]*\[", text)  # filters need eval
    assert not re.search(r"<p\b[^>]*>(?:(?!</p>).)*<(?:form|div|ul)\b", text, re.DOTALL)


def test_nothing_of_ours_comes_from_elsewhere():
    for path in (HOME / "static").rglob("*.[cj]ss"):
        if path.parent.name != "vendor":
            assert not re.search(r"https?://|@import|url\(", path.read_text()), path


def test_policy_lets_in_the_store_and_nobody_else():
    assert "img-src 'self' data: blob:;" in policy_of("")
    assert "img-src 'self' data: blob: https://s3.example;" in policy_of(
        "https://s3.example"
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.span(59), "59 s"),
        (words.span(3600 * 30), "1 d"),
        (words.took(None), "–"),  # noqa: RUF001 - the dash that pages show
        (words.took(999), "999 ms"),
        (words.took(12_340), "12.3 s"),
        (words.usd(0), "$0"),
        (words.usd(0.0042), "$0.0042"),
        (words.usd(0.04), "$0.040"),
        (words.usd(12.5), "$12.50"),
        (words.size(1023), "1023 B"),
        (words.size(1_500_000), "1.4 MB"),
        (words.ordinal(1), "1st"),
        (words.ordinal(12), "12th"),
        (words.ordinal(1023), "1,023rd"),
        (words.plural(1, "image"), "1 image"),
        (words.plural(2000, "image"), "2,000 images"),
    ],
)
def test_numbers_read_as_people_say_them(said: str, expected: str):
    assert said == expected


def test_every_advice_is_on_a_code_that_jobs_fail_with():
    assert set(advice.ADVICE) <= set(FAILED)
    assert advice.advice("of a version to come")


HARD = {
    "model": "test/test",
    "prompt": 'it\'s "quoted" $HOME `x` \\ \n{two} lines – ü',  # noqa: RUF001
    "n": 2,
    "size": "1024x1024",
    "seed": 7,
    "output_format": "png",
    "operation": "generate",
}


def test_snippets_send_the_prompt_whatever_is_in_it():
    made = snippets_of(HARD, base_url="http://127.0.0.1:8080")

    line = shlex.split(made.curl.replace("\\\n", " "))
    body = json.loads(line[line.index("-d") + 1])
    program = ast.parse(made.python)
    said = {
        keyword.arg: ast.literal_eval(keyword.value)
        for node in ast.walk(program)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("generate")
        for keyword in node.keywords
    }
    assert body["prompt"] == said["prompt"] == HARD["prompt"]
    assert (body["seed"], said["extra_body"]) == (7, {"seed": 7})
    assert json.dumps(HARD["prompt"], ensure_ascii=False) in made.javascript
    assert "operation" not in made.curl + made.python + made.javascript


def test_snippets_of_an_edit_name_their_references():
    made = snippets_of({**HARD, "images": [{}, {}]}, base_url="http://127.0.0.1:8080")

    assert "/v1/images/edits" in made.curl
    assert made.curl.count("@reference-") == 2
    assert "images.edit(" in made.python
    ast.parse(made.python)
    assert 'createReadStream("reference-2.png")' in made.javascript


def job(state: JobState, *trail: Attempt, ended_s: float | None = None) -> Job:
    return Job(
        id=JobId("job_1"),
        account="a",
        key_id="k",
        priority=Priority.NORMAL,
        state=state,
        request=GenerationRequest(model="m", prompt="p"),
        created_at=MADE,
        completed_at=None if ended_s is None else MADE + timedelta(seconds=ended_s),
        trail=trail,
    )


def attempt(at_s: float, ms: int | None, outcome: str = "succeeded") -> Attempt:
    at = MADE + timedelta(seconds=at_s)
    return Attempt(provider="p", model="m", started_at=at, ms=ms, outcome=outcome)


def test_a_jobs_life_is_waits_attempts_and_the_store_without_gaps():
    tried = (attempt(2, 1000, "failed"), attempt(5, 3000))

    line = timeline_of(job(JobState.SUCCEEDED, *tried, ended_s=8.5), now_s=0)

    assert [(bar.kind, bar.start_s, bar.end_s) for bar in line.bars] == [
        ("queued", 0, 2),
        ("failed", 2, 3),
        ("queued", 3, 5),
        ("succeeded", 5, 8),
        ("accent", 8, 8.5),
    ]
    assert line.whole_s == 8.5


def test_a_job_that_waits_has_one_bar_that_grows():
    now_s = MADE.timestamp() + 4

    [bar] = timeline_of(job(JobState.QUEUED), now_s=now_s).bars

    assert (bar.kind, bar.start_s, bar.end_s) == ("queued", 0, 4)


def test_a_job_in_work_shows_the_attempt_that_is_under_way():
    seen = job(JobState.RUNNING, attempt(1, 1000, "failed"))

    line = timeline_of(seen, now_s=MADE.timestamp() + 9)

    assert line.bars[-1].kind == "running"
    assert (line.bars[-1].start_s, line.bars[-1].end_s) == (2, 9)


def test_an_hour_counts_what_is_no_older():
    now = datetime.now(UTC)
    hour = Hour(first_of(now - timedelta(hours=2)))
    for ago_min, state in ((90, "failed"), (30, "failed"), (1, "succeeded")):
        at = first_of(now - timedelta(minutes=ago_min))
        hour.count([Event.read(at, {b"job": b"j", b"state": state.encode()})])

    hour.forget_old()

    assert hour.of("job.failed") == 1
    assert hour.of("job.succeeded", minutes=5) == 1
    assert len(hour.minutes) == 2
