"""What an error's code means, and which codes come in company.

The groups are what the tables of this package name, so that a route lists only what
is peculiar to it.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_TABLE = tomllib.loads(Path(__file__).with_name("codes.toml").read_text("utf-8"))


class Meaning(NamedTuple):
    """What a code says; `status` is the usual one."""

    status: int
    text: str


REFUSED: Mapping[str, Meaning] = {c: Meaning(*m) for c, m in _TABLE["refused"].items()}
FAILED: Mapping[str, Meaning] = {c: Meaning(*m) for c, m in _TABLE["failed"].items()}
"""What a job failed with, where its caller waited for it."""

MEANINGS: Mapping[str, Meaning] = {**FAILED, **REFUSED}

ALWAYS = ("malformed_request", "invalid_http", "expectation_failed", "internal")
"""Any route, before anybody looks at what it is."""

KEY = (
    "missing_key",
    "invalid_key",
    "key_revoked",
    "key_expired",
    "unsupported_auth_scheme",
    "ambiguous_auth",
    "key_scope",
    "queue_unavailable",
)
"""Any route that wants an API key."""

QUERY = ("unknown_param", "duplicate_param")

BODY = (
    "body_incomplete",
    "body_timeout",
    "body_too_large",
    "unsupported_media_type",
    "unsupported_charset",
    "unsupported_encoding",
)
"""Any route that reads a body."""

JSON_BODY = (
    *BODY,
    "body_not_object",
    "duplicate_key",
    "invalid_encoding",
    "invalid_json",
    "invalid_text",
    "json_too_deep",
)

FORM_BODY = (
    "empty_file",
    "file_too_large",
    "invalid_multipart",
    "too_many_parts",
)
"""Any route that reads a form."""

IMAGES = (
    "animated_image",
    "duplicate_field",
    "image_too_large",
    "invalid_image",
    "invalid_mask",
    "invalid_url",
    "mask_size_mismatch",
    "reference_not_image",
    "reference_too_large",
    "reference_unreachable",
    "store_unavailable",
    "too_many_images",
    "unsupported_image",
)
"""Any route that takes images along with a request."""

RECEIVER = (
    "invalid_secret",
    "invalid_url",
    "url_not_allowed",
    "url_port",
    "url_userinfo",
    "webhook_https_required",
)
"""Any route that takes a URL to send events to."""

FIELDS = (
    "missing_field",
    "unknown_field",
    "wrong_type",
    "invalid_enum",
    "out_of_range",
)

DRAFT = (
    *FIELDS,
    "empty_prompt",
    "prompt_too_long",
    "invalid_n",
    "n_too_large",
    "invalid_size",
    "unsupported_size",
    "unsupported_field",
    "unsupported_operation",
    "incompatible_options",
    "max_cost_exceeded",
    "unknown_price",
    "unknown_model",
    "model_not_allowed",
    "unknown_provider",
    "no_provider_left",
)
"""Any route that takes what a caller wants made."""

SUBMISSION = (
    "invalid_idempotency_key",
    "idempotency_mismatch",
    "rate_limited",
    "queue_full",
    "quota_exceeded",
    "no_route",
)
"""Any route that writes a job down."""

WAITED = tuple(FAILED)
"""Any route that waits for a job, and so tells what it failed with."""
