"""What an embed link shows, and links that need no key because one has signed them.

    /embed/image:{model}?prompt=...&references=...&exp=1795000000&kid=key_...&sig=...

The signature covers method, model, prompt, references, expiry and the API key that
pays. It is taken over what they mean, not how they are spelled, so that a page may
write `+` for `%20`; a prompt or reference more, less or other is another link.
"""

import base64
import hmac
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Self
from urllib.parse import quote, urlencode

from service.core.errors import InvalidSignature, UrlExpired
from service.core.sameness import cache_key, normalized

LONGEST_PATH = 7168
"""Bytes of path and query; servers and proxies take little more than 8,000."""

_EXPIRY = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


class Seal(NamedTuple):
    """What makes a link a signed one, as text, checked by nobody yet.

    Attributes:
        exp: Unix seconds.
        kid: Id of the API key that pays.
        sig: The signature.
    """

    exp: str
    kid: str
    sig: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed:
    """One image as a link asks for it.

    Attributes:
        model: Any of the model's names.
        prompt: As it was sent.
        references: Links to the images to start from, in the caller's order.
    """

    model: str
    prompt: str
    references: tuple[str, ...] = ()

    def cache_key(self, canonical_model: str) -> str:
        """Return what all requests for this image have in common."""
        prompt, references = normalized(self.prompt), sorted(self.references)
        return cache_key("embed", canonical_model, prompt, references)

    def signed(self, *, key_id: str, expires_at: datetime, secret: bytes) -> str:
        """Return path and query that show the image until `expires_at`, unkeyed."""
        exp = str(int(expires_at.timestamp()))
        said = {"prompt": self.prompt}
        if self.references:
            said["references"] = ",".join(self.references)
        said |= {"exp": exp, "kid": key_id, "sig": self._signature(exp, key_id, secret)}
        path = quote(f"/embed/image:{self.model}", safe="/:")
        return f"{path}?{urlencode(said, quote_via=quote, safe=':/,')}"

    def check(self, seal: Seal, *, secret: bytes, at: datetime) -> Self:
        """Return this very embed when the seal is its own, and good at `at`.

        Raises:
            InvalidSignature: It was not made by `signed` for this image and secret.
            UrlExpired: It was, and its time has passed.
        """
        expected = self._signature(seal.exp, seal.kid, secret)
        is_ours = hmac.compare_digest(expected.encode(), seal.sig.encode())
        if not is_ours or not _EXPIRY.fullmatch(seal.exp):
            raise InvalidSignature("this link was not signed here, or it was changed")
        if at.timestamp() >= int(seal.exp):
            raise UrlExpired("this link has expired: sign a new one")
        return self

    def _signature(self, exp: str, key_id: str, secret: bytes) -> str:
        prompt, references = normalized(self.prompt), sorted(self.references)
        matter = ("darkroom embed link", "GET", self.model, prompt, references)
        message = json.dumps((*matter, exp, key_id))
        digest = hmac.digest(secret, message.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
