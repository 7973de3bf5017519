"""What a chat asks for, read as one request for images.

The last message of the user is the request: its text, behind that of the system, is
the prompt, and its images are what to start from. Where it has none, "now make it
red" means what was drawn last; nothing else of earlier turns is read.
"""

from typing import Any, NamedTuple

from service.api.calls import CallDraft
from service.api.dialects.chat.draft import ChatDraft, Message
from service.api.input_images import upload_of
from service.core.catalog import Model
from service.core.errors import InvalidRequest
from service.intake.uploads import NO_UPLOADS, Upload, Uploads

_MODALITIES = frozenset({"image", "text"})
_SYSTEM = frozenset({"system", "developer"})
_PASSED_ON = frozenset(CallDraft.model_fields) & frozenset(ChatDraft.model_fields)


class Asked(NamedTuple):
    """What a chat comes down to.

    Attributes:
        draft: The request.
        uploads: What to start from.
        notes: What was left out of it, as warnings.
    """

    draft: CallDraft
    uploads: Uploads
    notes: tuple[dict[str, str], ...]


def read_chat(chat: ChatDraft, model: Model) -> Asked:
    """Return the one request for images that the chat is.

    Args:
        chat: What the caller wrote.
        model: The one it names.

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
    last = turns[-1]
    said = _parts(chat.messages[last], last)
    images, notes = said.images, list[dict[str, str]]()
    if not images:
        images = _drawn_before(chat.messages[:last])
        if images and "edit" not in model.features:
            images = []
            notes.append(_left_out("messages", "this model edits no earlier image"))
    draft, dropped = _draft(chat, said.text)
    notes += (_left_out(name, "image_config says it") for name in dropped)
    return Asked(draft, Uploads(images) if images else NO_UPLOADS, tuple(notes))


def _draft(chat: ChatDraft, request: str) -> tuple[CallDraft, list[str]]:
    """Return the draft, and which fields it does without."""
    rules = [
        _parts(message, place).text
        for place, message in enumerate(chat.messages)
        if message.role in _SYSTEM
    ]
    given = {name: getattr(chat, name) for name in _PASSED_ON & chat.model_fields_set}
    dropped = _said_twice(chat)
    for name in dropped:
        del given[name]
    prompt = "\n\n".join(filter(None, (*rules, request))) or None
    return CallDraft(prompt=prompt, strict=False, **given), dropped


def _said_twice(chat: ChatDraft) -> list[str]:
    """Return the fields that say what the `image_config` says already."""
    config = chat.image_config
    if config is None:
        return []
    shape = {"aspect_ratio": config.aspect_ratio}
    shape["size"] = config.aspect_ratio or config.image_size
    return [name for name, said in shape.items() if said and getattr(chat, name)]


def _drawn_before(messages: list[Message]) -> list[Upload]:
    """Return the images of the last message of the assistant that has any."""
    for place in reversed(range(len(messages))):
        message = messages[place]
        if message.role != "assistant":
            continue
        images = [
            upload_of(f"messages.{place}.{name}.{index}.image_url", _link(part))
            for name in ("images", "content")
            for index, part in enumerate(_list(getattr(message, name)))
            if isinstance(part, dict) and "image_url" in part
        ]
        if images:
            return images
    return []


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
            case {"type": "image_url", "image_url": _}:
                at = f"{param}.{index}.image_url"
                images.append(upload_of(at, _link(part)))
            case _:
                raise _wrong(f"{param}.{index}", "must be a text or an image_url")
    return _Parts("\n".join(texts), images)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _link(part: dict[str, Any]) -> object:
    """Return the URL; `detail` stands beside it, and means nothing to who draws."""
    image = part["image_url"]
    return image.get("url") if isinstance(image, dict) else image


def _left_out(param: str, why: str) -> dict[str, str]:
    message = f"{why}; it was dropped"
    return {"param": param, "code": "unsupported_field", "message": message}


def _wrong(param: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"{param} {what}", code="wrong_type", param=param)
