"""The body of a chat completion: its fields, and what is said of each.

Those that shape an image are the ones of `service.intake.draft`, here only hints.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from service.intake.draft import DRAFT_CONFIG, ImageConfig

IGNORED = frozenset(
    {
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "metadata",
        "min_p",
        "moderation",
        "parallel_tool_calls",
        "plugins",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "provider",
        "reasoning",
        "reasoning_effort",
        "repetition_penalty",
        "response_format",
        "safety_identifier",
        "service_tier",
        "stop",
        "store",
        "temperature",
        "tool_choice",
        "tools",
        "top_a",
        "top_k",
        "top_logprobs",
        "top_p",
        "transforms",
        "usage",
        "verbosity",
        "web_search_options",
    }
)
"""Fields by which chats steer words; clients send them always, and images have none."""

_PARTS = {
    "text": {"type": "string"},
    "image_url": {
        "type": "object",
        "properties": {"url": {"type": "string"}},
        "required": ["url"],
    },
}
_TEXT, _IMAGE = (
    {
        "type": "object",
        "properties": {"type": {"const": kind}, kind: said},
        "required": ["type", kind],
    }
    for kind, said in _PARTS.items()
)
_CONTENT = {
    "anyOf": [
        {"type": ["string", "null"]},
        {"type": "array", "items": {"anyOf": [_TEXT, _IMAGE]}},
    ]
}
_IMAGES = {"type": ["array", "null"], "items": _IMAGE}


class Message(BaseModel):
    """One turn.

    Read are those of the system, the last of the user, and what was drawn before it.
    """

    model_config = ConfigDict(
        strict=True, extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    """Who speaks."""
    content: Annotated[Any, WithJsonSchema(_CONTENT)] = None
    """Text, or a list of parts: `{"type": "text", "text"}`, and
    `{"type": "image_url", "image_url": {"url"}}` with a link or a data URL."""
    images: Annotated[Any, WithJsonSchema(_IMAGES)] = None
    """What was drawn, as an answer told it; send it back to have it changed."""


class StreamOptions(BaseModel):
    """What a stream tells beside the images."""

    model_config = ConfigDict(
        strict=True, extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    include_usage: bool = False
    """`true` adds a chunk with the usage at the end."""


_IGNORED_SCHEMA: dict[str, Any] = {
    "patternProperties": {f"^({'|'.join(sorted(IGNORED))})$": {}}
}


class ChatDraft(BaseModel):
    """A chat completion that makes images."""

    model_config = ConfigDict(**DRAFT_CONFIG, json_schema_extra=_IGNORED_SCHEMA)

    model: str
    """One that makes images; see `/v1/models`."""
    messages: list[Message]
    """The last one of the user is the request: its text is the prompt, behind that of
    the system, and its images are what to start from; where it has none, the latest
    images of the assistant are."""
    modalities: list[str] | None = None
    """Must hold `image`; `text` beside it makes no difference."""
    image_config: ImageConfig | None = None
    """Shape and tier of the images."""
    size: str | None = None
    """Pixels such as `1536x1024`; dropped, with a warning, beside an `image_config`."""
    aspect_ratio: str | None = None
    """A shape such as `16:9`; dropped where the `image_config` names one."""
    quality: Literal["auto", "low", "medium", "high", "standard", "hd"] | None = None
    """How much care to take. This and every other hint is dropped, with a warning,
    where the model does not honor it."""
    style: Literal["vivid", "natural"] | None = None
    """`vivid` or `natural`."""
    background: Literal["auto", "transparent", "opaque"] | None = None
    """`transparent` needs an `output_format` with alpha: png or webp."""
    input_fidelity: Literal["low", "high"] | None = None
    """How closely an edit is to keep to the images it begins with."""
    output_format: Literal["png", "jpeg", "jpg", "webp"] | None = None
    """What the images are to be."""
    output_compression: int | None = Field(default=None, ge=0, le=100)
    """Percent, for jpeg and webp."""
    negative_prompt: str | None = None
    """What not to draw."""
    n: int | None = Field(default=None, ge=1)
    """How many images; each is a choice."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """The same seed gives the same image, where the model honors it."""
    max_cost: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """US dollars that all images together may cost; what costs more is refused."""
    cache: bool = False
    """`true` answers with an earlier job of the same content, at no charge."""
    user: str | None = None
    """Whose request it is, in your own words; passed on to the provider."""
    stream: bool | None = None
    """`true` answers with chunks as server-sent events."""
    stream_options: StreamOptions | None = None
    """What such a stream tells."""

    @model_validator(mode="before")
    @classmethod
    def _without_ignored(cls, fields: Any) -> Any:
        return {name: said for name, said in fields.items() if name not in IGNORED}

    @property
    def tells_usage(self) -> bool:
        """Whether a stream is to end with the usage."""
        return self.stream_options is not None and self.stream_options.include_usage
