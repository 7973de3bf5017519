"""Google's `generateContent` for models that draw; proven by `google-genai`."""

from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.images import decoded, inline
from tests.fakes.upstreams.shapes import GOOGLES, GOOGLES_TIERS
from tests.fakes.upstreams.words import KEY, Asked, Refusal, Result

_STANDARD = str.maketrans("-_", "+/")
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class GeminiFake(Fake):
    """One image a call, among other parts; refusals under a 200."""

    adapter: ClassVar[str] = "gemini"
    model: ClassVar[str] = "gemini-3-pro-image"
    base_path: ClassVar[str] = "/v1beta"
    edits: ClassVar[bool] = True

    def routes(self) -> list[web.RouteDef]:
        # SDKs choose the version by themselves.
        return [
            web.post(f"/{version}/models/{{model}}:generateContent", self.handle)
            for version in ("v1", "v1beta")
        ]

    async def read(self, request: web.Request) -> Asked:
        if request.headers.get("x-goog-api-key") != KEY:
            raise Refusal(400, "unauthorized")
        body = await request.json()
        config = body.get("generationConfig", {})
        unknown = set(body) - {"contents", "generationConfig", "safetySettings"}
        if unknown or "IMAGE" not in config.get("responseModalities", ()):
            raise Refusal(400, "invalid")
        shape = config.get("imageConfig", {})
        model = request.match_info["model"]
        if set(shape) - {"aspectRatio", "imageSize"}:
            raise Refusal(400, "invalid")
        if "imageSize" in shape and model.startswith("gemini-2.5-"):
            raise Refusal(400, "invalid")
        try:
            width, height = GOOGLES[shape.get("aspectRatio", "1:1")]
            scale = GOOGLES_TIERS[shape.get("imageSize", "1K")]
        except KeyError as exc:
            raise Refusal(400, "invalid") from exc
        text, images = _parts(body["contents"])
        return Asked(
            prompt=text,
            model=model,
            width=width * scale,
            height=height * scale,
            images=images,
            fields=body,
        )

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        parts: list[dict[str, Any]] = [{"text": "Here it is."}]
        parts += [_part(result) for result in results]
        reason = "STOP" if results else "NO_IMAGE"
        return _answer(
            candidates=[
                {
                    "content": {"role": "model", "parts": parts},
                    "finishReason": reason,
                    "index": 0,
                }
            ],
            responseId=asked.id,
        )

    def rejected(self, asked: Asked) -> web.Response:
        return _answer(promptFeedback={"blockReason": "PROHIBITED_CONTENT"})

    def image_safety(self, asked: Asked) -> web.Response:
        return _answer(candidates=[{"finishReason": "IMAGE_SAFETY", "index": 0}])

    def exhausted(self, _: Asked) -> web.Response:
        """Tell the wait as the quota does: in the details, without a header."""
        return self.refused(Refusal(429, "exhausted", wait=34.5))

    def sketch_first(self, asked: Asked) -> web.Response:
        """Think in pictures, as the pro models do."""
        parts = [_part(b"a sketch", thought=True), _part(self.drawn(asked)[0])]
        return _answer(candidates=[{"content": {"parts": parts}, "index": 0}])

    def refused(self, refusal: Refusal) -> web.Response:
        details = list[dict[str, Any]]()
        if refusal.kind == "unauthorized":
            refusal.status = 400  # so does Google
            details.append(
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "API_KEY_INVALID",
                    "domain": "googleapis.com",
                }
            )
        if refusal.more.get("wait") is not None:
            details.append(
                {
                    "@type": "type.googleapis.com/google.rpc.RetryInfo",
                    "retryDelay": f"{refusal.more['wait']:g}s",
                }
            )
        error = {
            "code": refusal.status,
            "message": "told in many words",
            "status": _STATUS.get(refusal.status, "UNKNOWN"),
            "details": details,
        }
        return web.json_response({"error": error}, status=refusal.status)


def _part(result: Result, **more: Any) -> dict[str, Any]:
    data = {"mimeType": "image/png", "data": inline(result)}
    return {"inlineData": data, **more}


def _answer(**fields: Any) -> web.Response:
    usage = {
        "promptTokenCount": 7,
        "candidatesTokenCount": 1290,
        "totalTokenCount": 1297,
    }
    return web.json_response({**fields, "usageMetadata": usage})


def _parts(contents: list[dict[str, Any]]) -> tuple[str, list[bytes]]:
    texts, images = list[str](), list[bytes]()
    for content in contents:
        for part in content["parts"]:
            sent = part.get("inlineData")
            if sent is None:
                texts.append(part["text"])
                continue
            # Google takes both alphabets, and its SDK uses the other one.
            images.append(decoded(sent["data"].translate(_STANDARD)))
    return "\n".join(texts), images
