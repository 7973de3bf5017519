"""The one shape of every error."""

from typing import Annotated

from pydantic import Field

from service.api.openapi.codes import MEANINGS
from service.api.openapi.shapes import Shape

_MEANINGS = "\n".join(f"* `{code}`: {m.text}" for code, m in sorted(MEANINGS.items()))

Code = Annotated[str, Field(json_schema_extra={"enum": sorted(MEANINGS)})]


class ErrorDetail(Shape):
    """What went wrong."""

    message: str
    """For people; it may change."""
    type: str
    """The kind of error in the words of the contract that was spoken."""
    param: str | None
    """The field at fault, where it is a single one."""
    code: Annotated[Code, Field(description=f"Stable.\n\n{_MEANINGS}")]


class Error(Shape):
    """The body of every error, and never of anything else."""

    error: ErrorDetail
    request_id: str
    """The `x-request-id` of the answer; our log knows it."""
