"""Which text a job may carry; what passes is kept to the byte, never normalized."""

import re
from collections.abc import Mapping

from service.core.errors import InvalidRequest

PROMPT_LIMIT = 32_000
_USER_LIMIT = 512

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""All but tabs and line ends; the second half begins escape sequences as well."""
_ASCII_CONTROL = bytes(c for c in range(128) if _CONTROL.match(chr(c)))

_VISIBLE = re.compile(r"[^\s\u00ad\u180e\u200b-\u200f\u2060\ufeff]")


def check_prompt(prompt: str) -> None:
    """Refuse a prompt that shows nothing, is too long or carries control characters.

    Raises:
        InvalidRequest: `empty_prompt`, `prompt_too_long` or `invalid_text`.
    """
    if len(prompt) > PROMPT_LIMIT:
        raise _too_long("prompt", PROMPT_LIMIT)
    if _VISIBLE.search(prompt) is None:
        raise InvalidRequest("prompt is empty", code="empty_prompt", param="prompt")
    _check_text("prompt", prompt)


def check_words(*, negative_prompt: str | None, user: str | None) -> None:
    """Refuse what no provider should be sent in the lesser texts.

    Raises:
        InvalidRequest: `prompt_too_long`, `out_of_range` or `invalid_text`.
    """
    if negative_prompt is not None:
        if len(negative_prompt) > PROMPT_LIMIT:
            raise _too_long("negative_prompt", PROMPT_LIMIT)
        _check_text("negative_prompt", negative_prompt)
    if user is not None:
        if len(user) > _USER_LIMIT:
            raise InvalidRequest(
                f"user has more than {_USER_LIMIT} characters",
                code="out_of_range",
                param="user",
            )
        _check_text("user", user)


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Refuse what no header, log or webhook should be made to carry.

    Raises:
        InvalidRequest: `invalid_text`.
    """
    for name, value in metadata.items():
        _check_text("metadata", name)
        _check_text("metadata", value)


def _check_text(param: str, text: str) -> None:
    if _holds_control(text):
        raise InvalidRequest(
            f"{param} contains control characters", code="invalid_text", param=param
        )


def _holds_control(text: str) -> bool:
    if not text.isascii():
        return _CONTROL.search(text) is not None
    data = text.encode()  # as bytes they are looked at in a third of the time
    return len(data.translate(None, _ASCII_CONTROL)) < len(data)


def _too_long(param: str, limit: int) -> InvalidRequest:
    return InvalidRequest(
        f"{param} has more than {limit:,} characters",
        code="prompt_too_long",
        param=param,
    )
