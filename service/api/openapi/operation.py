"""The words in which the tables of this package describe a route."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel

Schema = Mapping[str, Any]
"""JSON Schema, dialect 2020-12, as OpenAPI 3.1 takes it."""

JSON = "application/json"
FORM = "multipart/form-data"
LINES = "application/x-ndjson"
EVENTS = "text/event-stream"
TEXT = "text/plain"

STRING: Schema = {"type": "string"}
BINARY: Schema = {"type": "string", "format": "binary"}


class Access(Enum):
    """Who may call a route."""

    OPEN = "open"
    EITHER = "either"  # anybody; a key narrows what is shown
    KEY = "key"
    URL = "url"  # a key in a header or in the query, or a signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A part of the path, a query parameter or a request header."""

    name: str
    text: str
    schema: Schema = field(default_factory=lambda: STRING)
    where: Literal["path", "query", "header"] = "query"
    required: bool = False
    example: Any = None


class Images(Enum):
    """Whether a request may bring images along."""

    NONE = "none"
    SOME = "some"
    NEEDED = "needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a request carries, as JSON, and as a form where it may bring images.

    Attributes:
        name: Of its schema in the document; the form's is `{name}Form`.
        model: Reads all of it but the images.
        needed: Whether there must be one; without it, all its fields are unsaid.
        images: Whether it may bring some.
        mask: Whether one of them may be a mask.
        file: What the form's `file` is; such a body is a form only, and `name` is the
            form's.
        line: Reads each line but the images, where it may come line by line besides.
        examples: JSON bodies by what they show; they are sent as they stand.
        form_examples: Fields of forms by what they show; `@` begins a file's path.
    """

    name: str
    model: type[BaseModel]
    needed: bool = True
    images: Images = Images.NONE
    mask: bool = True
    file: str | None = None
    line: type[BaseModel] | None = None
    examples: Mapping[str, Any] = field(default_factory=dict)
    form_examples: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is no refusal.

    Attributes:
        text: What it means.
        shape: A TypedDict that it is as JSON; None: it is not JSON, or empty.
        media: Content of other types.
        events: A TypedDict that the data of each event is, where they may be asked for.
        last_event: The data of the event that ends a stream, where that is no JSON.
        headers: Names from the table of headers; `x-request-id` is always there.
        example: One that a reader will recognize.
    """

    text: str
    shape: Any = None
    media: Mapping[str, Schema] = field(default_factory=dict)
    events: Any = None
    last_event: str | None = None
    headers: tuple[str, ...] = ()
    example: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route.

    Attributes:
        method: In capitals.
        path: As the router spells it.
        id: Unique; generated clients name their method by it.
        tag: The chapter it stands in.
        summary: One line without a full stop.
        text: More, in paragraphs; code stands between backticks.
        answers: By status.
        refuses: Codes, which bring their statuses along.
        statuses: By code, where this route has one of its own for it.
        curl: Command lines by what they show, where the usual one will not do;
            `$URL` and `$KEY` stand for what differs from reader to reader.
    """

    method: str
    path: str
    id: str
    tag: str
    summary: str
    text: str = ""
    access: Access = Access.KEY
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    answers: Mapping[int, Answer]
    refuses: tuple[str, ...] = ()
    statuses: Mapping[str, int] = field(default_factory=dict)
    curl: Mapping[str, str] = field(default_factory=dict)
