"""What a test of a provider came to."""

from typing import Literal

from service.api.openapi.shapes import Shape


class TestFailure(Shape):
    """Why there is no image."""

    code: str
    message: str


class ProviderTest(Shape):
    """One smallest image, made past the queue; what is not known is null."""

    object: Literal["provider.test"]
    provider: str
    adapter: str | None
    model: str | None
    provider_model: str | None
    ms: int | None
    upstream_id: str | None
    cost_usd: float | None
    cost_source: Literal["reported", "priced", "estimated"] | None
    size: str | None
    content_type: str | None
    size_bytes: int | None
    error: TestFailure | None
    """Null where there is an image."""
