"""Fields of a JSON object, checked by a model; what is wrong gets our stable code."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from service.core.errors import InvalidRequest

_CODES = {
    "missing": "missing_field",
    "extra_forbidden": "unknown_field",
    "literal_error": "invalid_enum",
    "greater_than_equal": "out_of_range",
    "greater_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "string_too_long": "out_of_range",
    "string_too_short": "out_of_range",
    "too_long": "out_of_range",
    "too_short": "out_of_range",
    "finite_number": "out_of_range",
}
"""From what pydantic calls it; everything else is `wrong_type`."""

_OWN_CODES = {
    "n": "invalid_n",
    "metadata": "invalid_metadata",
    "priority": "out_of_range",
    "deadline_s": "out_of_range",
}
"""Fields that have one code for whatever is wrong with them."""

_SENTENCES = {
    "missing_field": "{param} is required",
    "unknown_field": "{param} is not a field of this request",
    "invalid_enum": "{param} must be {expected}",
    "out_of_range": "{param} is out of range",
    "wrong_type": "{param} has the wrong type",
    "invalid_n": "n must be a whole number of images, at least 1",
    "invalid_metadata": "metadata must be at most 16 pairs of text, "
    "of 64 and 512 characters",
}
_CLOSER = {
    "too_short": "{param} must name at least {min_length}, or be left out",
    "too_long": "{param} may name at most {max_length}",
    "string_too_short": "{param} must have at least {min_length} characters",
    "string_too_long": "{param} may have at most {max_length:,} characters",
    "greater_than_equal": "{param} must be at least {ge}",
    "greater_than": "{param} must be more than {gt}",
    "less_than_equal": "{param} must be at most {le}",
    "less_than": "{param} must be less than {lt}",
    "string_type": "{param} must be text",
    "bool_type": "{param} must be true or false",
    "bool_parsing": "{param} must be true or false",
    "int_type": "{param} must be a whole number",
    "int_from_float": "{param} must be a whole number",
    "int_parsing": "{param} must be a whole number",
    "float_type": "{param} must be a number",
    "float_parsing": "{param} must be a number",
    "list_type": "{param} must be a list",
    "dict_type": "{param} must be an object",
    "model_type": "{param} must be an object",
}
"""What is said of either of the last two, where pydantic knows more."""
_NAME_LIMIT = 64

_M = TypeVar("_M", bound=BaseModel)


def read_fields(model: type[_M], fields: object, *, text: bool = False) -> _M:
    """Check `fields` by `model`.

    Args:
        model: Of what they should be.
        fields: Values by name.
        text: Whether numbers and truth values come as text, as in a form.

    Raises:
        InvalidRequest: The first thing wrong.
    """
    try:
        if text:
            return model.model_validate_strings(fields)
        return model.model_validate(fields)
    except ValidationError as exc:
        raise _first(exc.errors(include_url=False)[0]) from None


def _first(error: Mapping[str, Any]) -> InvalidRequest:
    param = ".".join(str(part) for part in error["loc"])[:_NAME_LIMIT]
    code = _code(error, str(error["loc"][0]))
    about = error.get("ctx", {})
    sentence = _SENTENCES[code].format(param=param, expected=about.get("expected", ""))
    if code in {"out_of_range", "wrong_type"} and error["type"] in _CLOSER:
        sentence = _CLOSER[error["type"]].format(param=param, **about)
    return InvalidRequest(sentence, code=code, param=param)


def _code(error: Mapping[str, Any], name: str) -> str:
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        return "unknown_field"
    if name in _OWN_CODES:
        return _OWN_CODES[name]
    if kind == "literal_error" and not isinstance(value, str):
        return "wrong_type"
    # An integer beyond 64 bits and 1.0 both arrive as a float.
    if name == "seed" and isinstance(value, float):
        return "out_of_range"
    return _CODES.get(kind, "wrong_type")
