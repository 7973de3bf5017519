"""What schemathesis is told: how our forms are sent, and what our errors promise."""

from typing import Any

import schemathesis
from schemathesis.transport.requests import (
    REQUESTS_TRANSPORT,
    encode_non_object_multipart,
)

from tests.fuzz.sending import parts_of


@REQUESTS_TRANSPORT.serializer("multipart/form-data")
def form(ctx: Any, value: Any) -> dict[str, Any]:
    """Send files for the names of files; what is no object goes as it is.

    The library's own hook for serializers takes bytes alone, without a boundary.
    """
    _ = ctx
    if isinstance(value, dict):
        return {"files": parts_of(value)}
    data, content_type = encode_non_object_multipart(value)
    return {"data": data, "headers": {"Content-Type": content_type}}


@schemathesis.check
def error_code_conformance(ctx: Any, response: Any, case: Any) -> None:
    """Compare an error's code with those the document lists beside the status."""
    _ = ctx
    told = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    if "x-codes" in told:
        code = response.json()["error"]["code"]
        assert code in told["x-codes"], f"{code} is not among {told['x-codes']}"
