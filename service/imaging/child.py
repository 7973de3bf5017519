"""One decoder process: `python -m service.imaging.child`.

It stands between us and bytes of strangers, so it has little to lose: no keys in its
environment, a ceiling on memory, and on processor time anew for every image. It
ends when its stdin does, and so never outlives the service, however that died.
"""

import contextlib
import os
import resource
import signal
import sys
import time
import warnings
from dataclasses import asdict
from typing import Any, BinaryIO

from PIL import Image

from service.core.errors import BadImage
from service.imaging import frames
from service.imaging.decoding import MAX_PIXELS, check, convert, mask

_MEMORY_BYTES = 1 << 30
_PROCESSOR_S = 10


def main() -> None:
    """Answer frame by frame until stdin ends."""
    _confine()
    with (
        contextlib.suppress(BrokenPipeError),  # whoever asked is gone
        _claim_stdout() as answers,
    ):
        _serve(sys.stdin.buffer, answers)


def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    while (frame := frames.read(questions)) is not None:
        _allow_time()
        answers.write(frames.TAKEN)
        answers.flush()
        head, body, healthy = _answer(*frame)
        answers.write(frames.prelude(head, body))
        answers.write(body)
        answers.flush()
        if not healthy:
            break


def _answer(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes, bool]:
    """Return head and body, and whether this process should take another image."""
    try:
        if not request:
            return asdict(check(data)), b"", True
        if "mask_style" in request:
            return {}, mask(data, style=request["mask_style"]), True
        made, facts = convert(data, **request)
        return asdict(facts), made, True
    except BadImage as exc:
        return {"code": exc.code, "message": str(exc)}, b"", True
    except MemoryError:
        message = "the image takes too much memory to decode"
        return {"code": "image_too_large", "message": message}, b"", False


def _claim_stdout() -> BinaryIO:
    """Return stdout for ourselves alone; what a library prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _confine() -> None:
    """Lower what this process may do; the service decides when it ends.

    Signals that a terminal or a supervisor sends to the whole family are ignored:
    the service drains on them, and needs its decoders meanwhile.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _limit(resource.RLIMIT_CORE, 0)
    with contextlib.suppress(ValueError):  # macOS counts otherwise, and says no
        _limit(resource.RLIMIT_AS, _MEMORY_BYTES)
    for kind in (UserWarning, RuntimeWarning):  # what Pillow says of the bytes
        warnings.simplefilter("error", kind)
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS


def _allow_time() -> None:
    """Move the end of our processor time forward; past it the kernel kills."""
    _limit(resource.RLIMIT_CPU, int(time.process_time()) + 1 + _PROCESSOR_S)


def _limit(what: int, most: int) -> None:
    """Set a soft limit; a hard one that is lower already wins."""
    _, hard = resource.getrlimit(what)
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (soft, hard))


if __name__ == "__main__":
    main()
