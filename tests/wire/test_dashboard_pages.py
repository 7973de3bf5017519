"""The pages of jobs and images, as whoever has no script sees them."""

import re
from html.parser import HTMLParser

import aiohttp
import pytest
from redis.asyncio import Redis

from tests.fakes.door import FrontDoor
from tests.fakes.images import encoded, noise
from tests.fakes.studio import studio
from tests.fakes.visitor import visitor
from tests.fakes.worker import FakeWorker

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}",
    "</textarea></title><svg onload=alert(1)>",
    "&lt;b&gt; &amp;",
    "line\nbreak\u2028and more",
)


async def test_an_empty_account_is_told_how_to_begin(door: FrontDoor):
    async with visitor(door, "empty") as somebody:
        jobs = await somebody.get("/ui/jobs")
        gallery = await somebody.get("/ui/gallery")
        playground = await somebody.get("/ui/playground")

    assert "No jobs yet" in jobs.text
    assert f"curl {door.url}/v1/jobs" in jobs.text
    assert "No images yet" in gallery.text
    assert "Your image appears here" in playground.text


async def test_a_form_without_script_makes_an_image_and_leads_to_it(door: FrontDoor):
    fields = {
        "prompt": "a fox\r\nin snow",
        "model": "test/test",
        "n": "2",
        "aspect_ratio": "3:2",
        "output_format": "webp",
        "quality": "",
        "seed": "",
        "negative_prompt": "",
    }
    async with visitor(door) as somebody, studio(door.settings):
        sent = await somebody.post("/ui/playground", form(fields, nothing="image[]"))
        place = sent.headers["Location"]
        job_id = place.partition("=")[2]
        job = (await door.get(f"/v1/jobs/{job_id}?wait=20")).body
        shown = await somebody.get(place)
        picture = await somebody.get(f"/ui/jobs/{job_id}/images/1?width=96&format=webp")
        page = await somebody.get(f"/ui/jobs/{job_id}")
        gallery = await somebody.get("/ui/gallery")

    assert sent.status == 303
    assert job["request"]["prompt"] == "a fox\nin snow"
    assert (job["request"]["n"], job["request"]["output_format"]) == (2, "webp")
    assert "2 images in" in shown.text
    assert "client.images.generate(" in shown.text
    assert picture.headers["Content-Type"] == "image/webp"
    assert picture.headers["x-image-width"] == "96"
    assert "Checked and stored" in page.text or "test/test succeeded" in page.text
    assert gallery.html.count(f"/ui/jobs/{job_id}/images/") == 4


async def test_a_reference_makes_an_edit(door: FrontDoor):
    fields = {"prompt": "in snow", "model": "test/test"}
    async with visitor(door) as somebody:
        sent = await somebody.post(
            "/ui/playground", form(fields, file=encoded(noise(), "PNG"))
        )

    job_id = sent.headers["Location"].partition("=")[2]
    job = (await door.get(f"/v1/jobs/{job_id}")).body
    assert job["request"]["operation"] == "edit"
    assert len(job["request"]["images"]) == 1


async def test_what_is_wrong_is_said_beside_the_form_that_is_kept(door: FrontDoor):
    fields = {"prompt": "a fox & friends", "model": "test/nothing", "n": "3"}
    async with visitor(door) as somebody:
        seen = await somebody.post("/ui/playground", form(fields))

    assert seen.status == 404
    assert "There is no model 'test/nothing'" in seen.text
    assert "a fox &amp; friends</textarea>" in seen.html


async def test_the_price_stands_there_before(door: FrontDoor):
    async with visitor(door) as somebody, studio(door.settings):
        await somebody.get("/ui/playground")
        free = await somebody.part("/ui/playground/price?model=test/test&n=2")
        wrong = await somebody.part("/ui/playground/price?model=test/test&n=2000")
        odd = await somebody.part("/ui/playground/price?model=test/test&webhook=1")

    assert "1024" in free.text or "No worker" in free.text
    assert "N must be" in wrong.text
    assert "webhook is not a field" in odd.text.replace("Webhook", "webhook")


async def test_jobs_are_found_by_state_words_and_id(
    door: FrontDoor, worker: FakeWorker, redis: Redis
):
    fox = await door.submit("a red fox")
    owl = await door.submit("a gray owl")
    await door.get(f"/v1/jobs/{owl['id']}?wait=10")
    async with visitor(door) as somebody:
        by_words = await somebody.get("/ui/jobs?q=RED+f")
        by_id = await somebody.get(f"/ui/jobs?q={fox['id']}")
        none = await somebody.get("/ui/jobs?status=expired")
        other = await somebody.get("/ui/jobs?status=nonsense")
        part = await somebody.part("/ui/jobs")

    assert ("a red fox" in by_words.text, "a gray owl" in by_words.text) == (
        True,
        False,
    )
    assert by_id.headers["Location"] == f"/ui/jobs/{fox['id']}"
    assert "No such jobs" in none.text
    assert "a gray owl" in other.text
    assert part.html.lstrip().startswith('<div id="list"')
    assert "<html" not in part.html


async def test_chosen_jobs_are_canceled_and_made_anew(door: FrontDoor):
    jobs = [await door.submit(model="test/slow-30") for _ in range(3)]
    ids = [job["id"] for job in jobs]
    async with visitor(door) as somebody:
        chosen = [("id", ids[0]), ("id", ids[1]), ("back", "/ui/jobs?status=queued")]
        canceled = await somebody.post("/ui/jobs/cancel", chosen)
        again = await somebody.post("/ui/jobs/retry", [("id", ids[0]), ("id", ids[2])])

    assert canceled.headers["Location"] == "/ui/jobs?status=queued"
    states = [(await door.get(f"/v1/jobs/{one}")).body["status"] for one in ids]
    assert states == ["canceled", "canceled", "queued"]
    assert again.status == 303
    listed = (await door.get("/v1/jobs")).body["data"]
    assert [job["retry_of"] for job in listed if job["retry_of"]] == [ids[0]]


async def test_one_job_is_canceled_retried_and_deleted_by_its_buttons(door: FrontDoor):
    job = await door.submit(model="test/slow-30")
    place = f"/ui/jobs/{job['id']}"
    async with visitor(door) as somebody:
        await somebody.post(f"{place}/cancel")
        late = await somebody.post(f"{place}/cancel")
        retried = await somebody.post(f"{place}/retry")
        page = await somebody.get(place)
        await somebody.post(f"{place}/delete")
        gone = await somebody.get(place)
        unsure = await somebody.post(f"{retried.headers['Location']}/release")

    assert "canceled" in page.text
    assert late.status in {303, 409}
    assert retried.headers["Location"].startswith("/ui/jobs/job_")
    assert (gone.status, "was deleted" in gone.text) == (410, True)
    assert unsure.status == 409


async def test_nobody_sees_what_is_not_his(door: FrontDoor, worker: FakeWorker):
    job = await door.submit("a secret fox")
    await door.get(f"/v1/jobs/{job['id']}?wait=10")
    async with visitor(door, "other") as somebody:
        seen = [
            await somebody.get(f"/ui/jobs/{job['id']}"),
            await somebody.get(f"/ui/jobs/{job['id']}/images/0"),
            await somebody.get(f"/ui/jobs/{job['id']}/deliveries"),
            await somebody.get(f"/ui/playground?job={job['id']}"),
            await somebody.get(f"/ui/playground?from={job['id']}"),
            await somebody.post(f"/ui/jobs/{job['id']}/cancel"),
        ]
        lists = [await somebody.get(p) for p in ("/ui/jobs", "/ui/gallery")]

    assert [one.status for one in seen] == [404] * 6
    assert not any("secret" in one.html for one in [*seen, *lists])


@pytest.mark.parametrize("prompt", HOSTILE)
async def test_hostile_prompts_are_text(
    door: FrontDoor, worker: FakeWorker, prompt: str
):
    job = await door.submit(prompt, metadata={"x": prompt})
    await door.get(f"/v1/jobs/{job['id']}?wait=10")
    async with visitor(door) as somebody:
        pages = [
            await somebody.get(path)
            for path in (
                "/ui/jobs",
                f"/ui/jobs/{job['id']}",
                f"/ui/playground?job={job['id']}",
                "/ui/gallery",
            )
        ]

    for page in pages:
        assert page.status == 200
        tags = Tags(page.html)
        assert {"onerror", "onload", "onmouseover", "style"}.isdisjoint(tags.attributes)
        assert all(src.startswith("/ui/static/") for src in tags.scripts)


async def test_pulse_counts_what_is_under_way_and_what_failed(
    door: FrontDoor, worker: FakeWorker
):
    async with visitor(door) as somebody:
        job = await door.submit()
        await door.get(f"/v1/jobs/{job['id']}?wait=10")
        pulse = await somebody.part("/ui/pulse")

    assert "0.2 a minute" in pulse.text
    assert "0 running 0 queued 0 failed" in pulse.text


async def test_a_page_hears_of_all_that_happens_from_its_making_on(door: FrontDoor):
    async with visitor(door) as somebody:
        for prompt in ("before the first page", "between the pages"):
            page = await somebody.get("/ui/jobs")
            [events] = re.findall(r'data-events="([^"]+)"', page.html)
            job = await door.submit(prompt)

            told = await somebody.listen(events, until=job["id"])

            assert told.count("event: job.queued") == 1


async def test_files_are_kept_for_ever_and_say_so(door: FrontDoor):
    async with visitor(door) as somebody:
        page = await somebody.get("/ui/jobs")
        [script] = re.findall(r'src="(/ui/static/[^"]*/app\.js)"', page.html)
        file = await somebody.get(script)
        same = await somebody.get(script, **{"If-None-Match": file.headers["ETag"]})
        old = await somebody.get(re.sub("static/[^/]*", "static/older", script))
        none = await somebody.get("/ui/static/any/../../app.py")

    assert "immutable" in file.headers["Cache-Control"]
    assert file.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert same.status == 304
    assert (old.status, "immutable" in old.headers["Cache-Control"]) == (200, False)
    assert none.status == 404


def form(
    fields: dict[str, str], *, file: bytes | None = None, nothing: str | None = None
) -> aiohttp.FormData:
    """A form as browsers send one that may hold files."""
    made = aiohttp.FormData(default_to_multipart=True)
    for name, value in fields.items():
        made.add_field(name, value)
    if file is not None:
        made.add_field("image[]", file, filename="a.png", content_type="image/png")
    if nothing is not None:
        made.add_field(
            nothing, b"", filename="", content_type="application/octet-stream"
        )
    return made


class Tags(HTMLParser):
    """Reads a page as a browser does."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.attributes: set[str] = set()
        self.scripts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        if tag == "script":
            self.scripts.append(dict(attrs).get("src") or "")
