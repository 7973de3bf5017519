"""A chat completion whose message is an image."""

from typing import Literal, NotRequired

from service.api.openapi.shapes import Shape
from service.api.openapi.shapes.events import Note


class ChatLink(Shape):
    """Where the bytes are."""

    url: str
    """A data URL: the bytes themselves in base64."""


class ChatImage(Shape):
    """An image in a message."""

    index: int
    type: Literal["image_url"]
    image_url: ChatLink


class ChatMessage(Shape):
    """What was drawn."""

    role: Literal["assistant"]
    content: str
    """The prompt as the provider drew it, where it says; else empty."""
    refusal: None
    images: list[ChatImage]


class ChatChoice(Shape):
    """One image; there are as many choices as images."""

    index: int
    message: ChatMessage
    logprobs: None
    finish_reason: Literal["stop"]


class ChatUsage(Shape):
    """Tokens, where the provider counts them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(Shape):
    """A whole answer."""

    id: str
    """`chatcmpl-` and the id of the job."""
    object: Literal["chat.completion"]
    created: int
    """Unix seconds."""
    model: str
    """As it was asked for."""
    choices: list[ChatChoice]
    usage: ChatUsage | None
    latency: NotRequired[int]
    """Milliseconds, if the operator has it told."""
    cost: NotRequired[float | None]
    """US dollars, told like `latency`; null where the price is not known."""
    warnings: NotRequired[list[Note]]


class ChatDelta(Shape):
    """What a chunk adds; the last one of a choice adds nothing."""

    role: NotRequired[Literal["assistant"]]
    content: NotRequired[str]
    images: NotRequired[list[ChatImage]]


class ChatStep(Shape):
    """A choice on its way."""

    index: int
    delta: ChatDelta
    finish_reason: Literal["stop"] | None


class ChatChunk(Shape):
    """One event of a stream, which has no name; the last one is `[DONE]`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChatStep]
    """Empty in the chunk that tells what goes for all of them."""
    usage: NotRequired[ChatUsage | None]
    latency: NotRequired[int]
    cost: NotRequired[float | None]
    warnings: NotRequired[list[Note]]
