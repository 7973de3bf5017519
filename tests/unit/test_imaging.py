"""Decoders as processes: what befalls them, and what befalls the service with them."""

import asyncio
import io
import os
import resource
import signal
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from PIL import Image

from service.core.errors import BadImage, Unavailable
from service.imaging import Imaging, frames
from tests.fakes.images import (
    bilevel_png,
    decoded,
    encoded,
    moving,
    noise,
    with_chunk,
)

PNG = encoded(noise(), "PNG")
MEDIUM = encoded(noise(1_000, 1_000), "PNG", compress_level=0)
ROOMY = bilevel_png(5_000, 5_000)
LARGE = encoded(noise(3_000, 3_000), "PNG", compress_level=0)
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

PARENT = """
import asyncio
from service.imaging import Imaging
from tests.fakes.images import encoded, noise

async def main():
    imaging = Imaging()
    await imaging.check(encoded(noise(), "PNG"))
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
async def imaging() -> AsyncIterator[Imaging]:
    imaging = Imaging(processes=1)
    yield imaging
    await imaging.close()


async def decoder_of(imaging: Imaging) -> int:
    """The process that has the next image."""
    await imaging.check(PNG)
    return imaging._idle[-1]._process.pid


def to_webp(imaging: Imaging) -> Coroutine[Any, Any, object]:
    """Half a second's work, or more."""
    return imaging.convert(LARGE, output_format="webp", compression=100)


async def until_at_work(pid: int) -> None:
    """Return when `pid` has used a twentieth of a second of processor time."""

    def ticks() -> int:
        return int(Path(f"/proc/{pid}/stat").read_text().split()[13])

    begun = ticks()
    while ticks() < begun + 5:  # the kernel rings no bell
        await asyncio.sleep(0.01)


async def test_facts_come_back_from_the_decoder(imaging: Imaging):
    facts = await imaging.check(PNG)

    assert (facts.width, facts.height, facts.content_type) == (182, 182, "image/png")


async def test_a_converted_image_comes_back_from_the_decoder(imaging: Imaging):
    made, facts = await imaging.convert(PNG, output_format="webp", compression=80)

    assert await imaging.check(made) == facts
    assert facts.content_type == "image/webp"


async def test_a_mask_of_another_style_comes_back_from_the_decoder(imaging: Imaging):
    clear = encoded(Image.new("RGBA", (64, 32)), "PNG")

    made = await imaging.mask(clear, style="white")

    assert decoded(made).size == (64, 32)
    assert decoded(made).getextrema() == (255, 255)


@pytest.mark.parametrize(
    ("bomb", "code"),
    [
        (bilevel_png(13_000, 13_000), "image_too_large"),
        (moving("WEBP", frames=301), "animated_image"),
        (moving("GIF", frames=301), "animated_image"),
        (moving("PNG", frames=301), "animated_image"),
        (
            with_chunk(PNG, b"zTXt", b"a\0\0" + zlib.compress(bytes(64_000_000))),
            "invalid_image",
        ),
        (PNG[:-40], "invalid_image"),
        (b"<svg/>", "unsupported_image"),
    ],
    ids=["bilevel png", "webp", "gif", "apng", "zTXt", "half", "svg"],
)
async def test_bombs_hurt_neither_the_decoder_nor_us(
    imaging: Imaging, bomb: bytes, code: str
):
    decoder = await decoder_of(imaging)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(BadImage) as refusal:
        await imaging.check(bomb)

    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert refusal.value.code == code
    assert grown_kib < 20 * 1024
    assert await decoder_of(imaging) == decoder


async def test_a_decoder_that_died_idle_is_replaced_unnoticed(imaging: Imaging):
    os.kill(await decoder_of(imaging), signal.SIGKILL)

    facts = await imaging.check(PNG)

    assert facts.width == 182


async def test_a_decoder_that_dies_before_it_has_the_image_is_replaced_unnoticed(
    imaging: Imaging,
):
    decoder = await decoder_of(imaging)
    os.kill(decoder, signal.SIGSTOP)
    checking = asyncio.create_task(imaging.check(PNG))
    await asyncio.sleep(0)
    os.kill(decoder, signal.SIGKILL)

    facts = await checking

    assert facts.width == 182


@linux
async def test_a_decoder_that_dies_of_an_image_takes_only_that_one_along(
    imaging: Imaging,
):
    decoder = await decoder_of(imaging)
    hostile = asyncio.create_task(to_webp(imaging))
    innocent = asyncio.create_task(imaging.check(PNG))
    await until_at_work(decoder)
    os.kill(decoder, signal.SIGKILL)

    with pytest.raises(BadImage) as refusal:
        await hostile

    assert refusal.value.code == "invalid_image"
    assert (await innocent).width == 182


async def test_an_image_that_takes_too_long_is_given_up_and_the_next_is_not():
    imaging = Imaging(processes=1, timeout=timedelta(milliseconds=250))

    with pytest.raises(BadImage) as refusal:
        await to_webp(imaging)
    facts = await imaging.check(PNG)
    await imaging.close()

    assert refusal.value.code == "invalid_image"
    assert facts.width == 182


@linux
async def test_the_answer_to_a_canceled_question_is_nobodys(imaging: Imaging):
    decoder = await decoder_of(imaging)
    given_up = asyncio.create_task(to_webp(imaging))
    await until_at_work(decoder)

    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up

    assert (await imaging.check(PNG)).width == 182


@linux
async def test_an_image_that_needs_too_much_memory_is_refused(imaging: Imaging):
    decoder = await decoder_of(imaging)
    resource.prlimit(decoder, resource.RLIMIT_AS, (64 << 20, 64 << 20))

    with pytest.raises(BadImage) as refusal:
        await imaging.convert(ROOMY, output_format="png", compression=None)

    assert refusal.value.code == "image_too_large"
    assert await decoder_of(imaging) != decoder


async def test_decoders_are_as_many_as_allowed_and_used_again():
    imaging = Imaging(processes=2)

    await asyncio.gather(*(imaging.check(PNG) for _ in range(8)))
    first = {decoder._process.pid for decoder in imaging._idle}
    await asyncio.gather(*(imaging.check(PNG) for _ in range(8)))
    second = {decoder._process.pid for decoder in imaging._idle}
    await imaging.close()

    assert len(first) == 2
    assert first == second


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_either_event_loop_will_do(run: Callable[[Coroutine[Any, Any, int]], int]):
    async def scene() -> int:
        imaging = Imaging(processes=1)
        os.kill(await decoder_of(imaging), signal.SIGKILL)
        made, _ = await imaging.convert(MEDIUM, output_format="png", compression=None)
        facts = await imaging.check(made)
        await imaging.close()
        return facts.width

    assert run(scene()) == 1_000


async def test_decoders_leave_the_signals_of_a_shutdown_to_the_service(
    imaging: Imaging,
):
    decoder = await decoder_of(imaging)

    os.kill(decoder, signal.SIGINT)
    os.kill(decoder, signal.SIGTERM)

    assert await decoder_of(imaging) == decoder
    assert os.getpgid(decoder) != os.getpgid(0)


@linux
async def test_a_decoder_has_limits_and_no_secrets(
    imaging: Imaging, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")

    process = Path(f"/proc/{await decoder_of(imaging)}")

    soft = {
        line[:25].strip(): line[25:].split()[0]
        for line in (process / "limits").read_text().splitlines()
    }
    assert soft["Max address space"] == str(1 << 30)
    assert soft["Max core file size"] == "0"
    assert 10 < int(soft["Max cpu time"]) < 20
    assert b"secret" not in (process / "environ").read_bytes()


@linux
async def test_processor_time_is_counted_anew_for_every_image(imaging: Imaging):
    process = Path(f"/proc/{await decoder_of(imaging)}/limits")

    def allowed_s() -> int:
        (line,) = (x for x in process.read_text().splitlines() if "cpu time" in x)
        return int(line.split()[3])

    at_first = allowed_s()
    while allowed_s() == at_first:
        await to_webp(imaging)

    assert allowed_s() > at_first


def test_decoders_die_with_a_service_that_was_killed():
    service = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    with service as opened:
        opened.stdout.readline()

        opened.kill()

        assert opened.stderr.read() == b""  # ends when all who could write are gone


async def test_no_decoder_to_be_had_is_our_fault_and_not_the_images(imaging: Imaging):
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, files[1]))

    try:
        with pytest.raises(Unavailable):
            await imaging.check(PNG)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, files)

    assert (await imaging.check(PNG)).width == 182


def test_a_frame_is_read_as_it_was_written():
    sent = frames.prelude({"compression": 3}, b"bytes") + b"bytes"

    assert frames.read(io.BytesIO(sent)) == ({"compression": 3}, b"bytes")


@pytest.mark.parametrize("left", range(19))
def test_half_a_frame_is_the_end(left: int):
    sent = frames.prelude({}, b"nine more") + b"nine more"

    assert frames.read(io.BytesIO(sent[:left])) is None
