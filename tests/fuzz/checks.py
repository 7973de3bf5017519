"""What schemathesis cannot know: every error carries one of its route's codes."""

from typing import Any

import schemathesis


@schemathesis.check
def error_code_conformance(ctx: Any, response: Any, case: Any) -> None:
    """Compare the code with those the document lists beside the status."""
    _ = ctx
    told = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    if "x-codes" in told:
        code = response.json()["error"]["code"]
        assert code in told["x-codes"], f"{code} is not among {told['x-codes']}"
