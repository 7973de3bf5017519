"""What listings take: parameters that `service.api.listing` reads."""

from service.api.listing import MOST_LIMIT, USUAL_LIMIT
from service.api.openapi.operation import Parameter


def limit_of(
    things: str, *, usual: int = USUAL_LIMIT, most: int = MOST_LIMIT
) -> Parameter:
    """Return the parameter that says how many of some things are on a page."""
    return Parameter(
        name="limit",
        schema={"type": "integer", "minimum": 1, "maximum": most, "default": usual},
        text=f"{things} on a page.",
    )
