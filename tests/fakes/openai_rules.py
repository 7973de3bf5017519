"""What OpenAI's images API accepts, model by model, and how it says no.

Source: the API reference, "Create image", and the errors it answers with.
"""

import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

_COMMON = {"prompt", "model", "n", "size", "quality", "user"}
_GPT = _COMMON | {
    "background",
    "moderation",
    "output_format",
    "output_compression",
    "stream",
    "partial_images",
}
_DALLE = _COMMON | {"response_format"}
_EDITS = {"input_fidelity"}
_NOT_IN_EDITS = {"moderation", "style"}
_VARIATIONS = {"model", "n", "size", "response_format", "user"}
_GPT_SIZES = {"auto", "1024x1024", "1536x1024", "1024x1536"}
_GPT_CHOICES = {
    "size": _GPT_SIZES,
    "quality": {"auto", "low", "medium", "high"},
    "background": {"auto", "transparent", "opaque"},
    "moderation": {"auto", "low"},
    "output_format": {"png", "jpeg", "webp"},
}
_FORMATS = {"url", "b64_json"}


@dataclass(frozen=True, kw_only=True)
class ModelRules:
    """One model: fields it knows, values it takes, limits it has."""

    fields: set[str]
    choices: dict[str, set[str]]
    max_n: int = 10
    max_prompt: int = 32_000


MODELS = {
    "gpt-image-1": ModelRules(fields=_GPT, choices=_GPT_CHOICES),
    "gpt-image-1-mini": ModelRules(fields=_GPT, choices=_GPT_CHOICES),
    "gpt-image-2": ModelRules(
        fields=_GPT,
        choices={
            **{k: v for k, v in _GPT_CHOICES.items() if k != "size"},
            "background": {"auto", "opaque"},
        },
    ),
    "dall-e-3": ModelRules(
        fields=_DALLE | {"style"},
        choices={
            "size": {"1024x1024", "1792x1024", "1024x1792"},
            "quality": {"standard", "hd"},
            "style": {"vivid", "natural"},
            "response_format": _FORMATS,
        },
        max_n=1,
        max_prompt=4000,
    ),
    "dall-e-2": ModelRules(
        fields=_DALLE,
        choices={
            "size": {"256x256", "512x512", "1024x1024"},
            "quality": {"standard"},
            "response_format": _FORMATS,
        },
        max_prompt=1000,
    ),
}


class Refusal(Exception):
    """A request that OpenAI answers with an error."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None,
        param: str | None = None,
        status: int = HTTPStatus.BAD_REQUEST,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "error": {"message": message, "type": kind, "param": param, "code": code}
        }


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request for images that OpenAI would carry out."""

    id: str
    prompt: str
    n: int
    width: int
    height: int
    image_format: str
    as_url: bool
    fields: dict[str, Any]

    @property
    def streams(self) -> bool:
        return self.fields.get("stream") in (True, "true")


def check(
    fields: dict[str, Any], *, operation: str = "generation", compatible: bool
) -> Call:
    """Return what to draw.

    Args:
        fields: The body of the request.
        operation: `generation`, `edit` or `variation`.
        compatible: Whether to be as easy as the servers that imitate OpenAI: any
            model, any field.

    Raises:
        Refusal: OpenAI would not draw it.
    """
    model = fields.get("model", "dall-e-2")
    prompt = "" if operation == "variation" else fields.get("prompt")
    if operation != "variation" and (not prompt or not isinstance(prompt, str)):
        raise Refusal(
            "Missing required parameter: 'prompt'.",
            code="missing_required_parameter",
            param="prompt",
        )
    if not compatible:
        _check_fields(model, fields, operation)
    size = fields.get("size", "auto")
    width, height = map(int, ("1024x1024" if size == "auto" else size).split("x"))
    is_gpt = str(model).startswith("gpt-image-")
    return Call(
        id=f"req_{secrets.token_hex(12)}",
        prompt=prompt,
        n=fields.get("n", 1),
        width=width,
        height=height,
        image_format=fields.get("output_format", "png"),
        as_url=not is_gpt and fields.get("response_format", "url") == "url",
        fields=fields,
    )


def _check_fields(model: str, fields: dict[str, Any], operation: str) -> None:
    rules = MODELS.get(model)
    if rules is None:
        raise _invalid("model", model)
    known = rules.fields
    if operation != "generation":
        known = (known | _EDITS) - _NOT_IN_EDITS
    if operation == "variation":
        known = _VARIATIONS
    for name in fields:
        if name not in known:
            raise Refusal(
                f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name
            )
    for name, choices in rules.choices.items():
        if name in fields and fields[name] not in choices:
            raise _invalid(name, fields[name])
    n = fields.get("n", 1)
    if type(n) is not int or not 1 <= n <= rules.max_n:
        raise _invalid("n", n)
    if n > 1 and fields.get("stream") in (True, "true"):
        raise Refusal("Streaming is only supported with n=1.", code=None)
    if len(fields.get("prompt", "")) > rules.max_prompt:
        raise Refusal("Too long.", code="string_above_max_length", param="prompt")
    if model == "gpt-image-2":
        _check_free_size(fields.get("size", "auto"))
    _check_format(fields)


def _check_free_size(size: str) -> None:
    if size == "auto":
        return
    width, height = map(int, size.split("x"))
    fits = width * height <= 3840 * 2160 and max(width, height) <= 3840
    if (
        not fits
        or width % 16
        or height % 16
        or max(width, height) > 3 * min(width, height)
    ):
        raise _invalid("size", size)


def _check_format(fields: dict[str, Any]) -> None:
    image_format = fields.get("output_format", "png")
    if fields.get("background") == "transparent" and image_format == "jpeg":
        raise _invalid("background", "transparent")
    if image_format == "png" and fields.get("output_compression", 100) != 100:
        raise Refusal(
            "Compression less than 100 is not supported for PNG output format",
            code="invalid_png_output_compression",
            param="output_compression",
        )


def _invalid(param: str, value: object) -> Refusal:
    return Refusal(f"Invalid value: {value!r}.", code="invalid_value", param=param)
