"""Images are decoded in other processes: what they do to a decoder they do to it alone.

    check, convert, mask --> a free decoder, or one started --> facts, or BadImage

A decoder that dies with an image in hand condemns that image; one that dies before
it had the image is replaced, and nobody hears of it.
"""

import asyncio
from datetime import timedelta
from typing import Any

from service.core.errors import BadImage, Unavailable
from service.imaging.facts import ImageFacts, sniff
from service.imaging.process import Decoder, Lost, NotTaken

__all__ = ["ImageFacts", "Imaging", "sniff"]

_TRIES = 3


class Imaging:
    """At most `processes` decoders, started when first needed.

    Args:
        processes: Images decoded at once; more wait their turn.
        timeout: One image takes no longer, the wait for its turn apart.
    """

    def __init__(
        self, *, processes: int = 2, timeout: timedelta = timedelta(seconds=20)
    ) -> None:
        self._turns = asyncio.Semaphore(processes)
        self._timeout = timeout
        self._idle: list[Decoder] = []

    async def check(self, data: bytes) -> ImageFacts:
        """Decode all of `data`, and say what it is.

        Raises:
            BadImage: It is not one whole, still PNG, JPEG or WebP image of at most
                25 megapixels and 8192 pixels a side.
            Unavailable: No decoder can be started.
        """
        facts, _ = await self._ask({}, data)
        return ImageFacts(**facts)

    async def convert(
        self,
        data: bytes,
        *,
        output_format: str,
        compression: int | None,
        width: int | None = None,
    ) -> tuple[bytes, ImageFacts]:
        """Decode all of `data` and encode it anew: upright, in sRGB, without metadata.

        Args:
            data: See `check`, which raises the same.
            output_format: `png`, `jpeg` (transparency becomes white) or `webp`.
            compression: Quality of jpeg and webp, 0 to 100; None: the encoder's own.
            width: Pixels, the height in proportion; a narrower image stays as it is.
                None: its own width.
        """
        request = {
            "output_format": output_format,
            "compression": compression,
            "width": width,
        }
        facts, made = await self._ask(request, data)
        return made, ImageFacts(**facts)

    async def mask(self, data: bytes, *, style: str) -> bytes:
        """Return the mask of another convention: a PNG of the same size.

        Args:
            data: A mask of OpenAI's: where it is transparent, the image may change.
                Otherwise see `check`, which raises the same.
            style: Color of these places in the new one, `white` or `black`; the rest
                has the other.
        """
        _, made = await self._ask({"mask_style": style}, data)
        return made

    async def close(self) -> None:
        """End the decoders; whoever waits for an image keeps his."""
        while self._idle:
            await self._idle.pop().end()

    async def _ask(
        self, request: dict[str, Any], data: bytes
    ) -> tuple[dict[str, Any], bytes]:
        async with self._turns:
            for _ in range(_TRIES):
                try:
                    head, body = await self._answer(request, data)
                except NotTaken:
                    continue
                if "code" in head:
                    raise BadImage(head["message"], code=head["code"])
                return head, body
        raise Unavailable("images cannot be decoded just now")

    async def _answer(
        self, request: dict[str, Any], data: bytes
    ) -> tuple[dict[str, Any], bytes]:
        decoder = self._idle.pop() if self._idle else await Decoder.start()
        try:
            answer = await decoder.ask(request, data, within=self._timeout)
        except Lost as exc:
            await decoder.end()
            raise BadImage("the image brings its decoder down") from exc
        except BaseException:  # canceled too: its answer would be taken for the next's
            await decoder.end()
            raise
        self._idle.append(decoder)
        return answer
