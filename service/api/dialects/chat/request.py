"""What a chat asks for, read as one request for images.

The last message of the user is the request: its text, behind that of the system, is
the prompt, and its images are what to start from. Earlier turns are not read: what
was drawn before is not what is asked for now.
"""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from service.api.calls import CallDraft
from service.api.input_images import upload_of
from service.core.errors import InvalidRequest
from service.intake.draft import DRAFT_CONFIG, ImageConfig
from service.intake.uploads import Upload, Uploads

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

_MODALITIES = frozenset({"image", "text"})
_SYSTEM = frozenset({"system", "developer"})


_PARTS = {
    "text": {"type": "string"},
    "image_url": {
        "type": "object",
        "properties": {"url": {"type": "string"}},
        "required": ["url"],
    },
}
_CONTENT = {
    "anyOf": [
        {"type": ["string", "null"]},
        {
            "type": "array",
            "items": {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {"type": {"const": kind}, kind: said},
                        "required": ["type", kind],
                    }
                    for kind, said in _PARTS.items()
                ]
            },
        },
    ]
}


class Message(BaseModel):
    """One turn; only those of the system and the last of the user are read."""

    model_config = ConfigDict(
        strict=True, extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    """Who speaks."""
    content: Annotated[Any, WithJsonSchema(_CONTENT)] = None
    """Text, or a list of parts: `{"type": "text", "text"}`, and
    `{"type": "image_url", "image_url": {"url"}}` with a link or a data URL."""


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
    the system, and its images are what to start from."""
    modalities: list[str] | None = None
    """Must hold `image`; `text` beside it makes no difference."""
    image_config: ImageConfig | None = None
    """Shape and tier of the images."""
    n: int | None = Field(default=None, ge=1)
    """How many images; each is a choice."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """Dropped, with a warning, where the model does not honor it."""
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


class Asked(NamedTuple):
    """What a chat comes down to."""

    draft: CallDraft
    uploads: Uploads


def read_chat(chat: ChatDraft) -> Asked:
    """Return the one request for images that the chat is.

    Raises:
        InvalidRequest: It asks for words (`unsupported_modality`), or says nothing
            that could be drawn.
    """
    wanted = set(chat.modalities or ())
    if "image" not in wanted or wanted - _MODALITIES:
        raise InvalidRequest(
            'only images are made here: send "modalities": ["image", "text"]',
            code="unsupported_modality",
            param="modalities",
        )
    turns = [place for place, m in enumerate(chat.messages) if m.role == "user"]
    if not turns:
        raise InvalidRequest(
            "a message of the user is required", code="missing_field", param="messages"
        )
    said = _parts(chat.messages[turns[-1]], turns[-1])
    rules = [
        _parts(message, place).text
        for place, message in enumerate(chat.messages)
        if message.role in _SYSTEM
    ]
    draft = CallDraft(
        model=chat.model,
        prompt="\n\n".join(filter(None, (*rules, said.text))) or None,
        n=chat.n,
        image_config=chat.image_config,
        seed=chat.seed,
        user=chat.user,
        stream=chat.stream,
        strict=False,
    )
    return Asked(draft, Uploads(said.images))


class _Parts(NamedTuple):
    text: str
    images: list[Upload]


def _parts(message: Message, place: int) -> _Parts:
    """Return text and images of one message.

    Raises:
        InvalidRequest: A part of it is neither.
    """
    param, content = f"messages.{place}.content", message.content
    if content is None or isinstance(content, str):
        return _Parts(content or "", [])
    if not isinstance(content, list):
        raise _wrong(param, "must be text, or a list of parts")
    texts, images = list[str](), list[Upload]()
    for index, part in enumerate(content):
        match part:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "image_url", "image_url": image}:
                at = f"{param}.{index}.image_url"
                # `detail` stands beside the URL; it means nothing to who draws.
                url = image.get("url") if isinstance(image, dict) else image
                images.append(upload_of(at, url))
            case _:
                raise _wrong(f"{param}.{index}", "must be a text or an image_url")
    return _Parts("\n".join(texts), images)


def _wrong(param: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"{param} {what}", code="wrong_type", param=param)
