"""When two requests are for the same images, so that one answers for the other.

What a job draws is always the prompt as it was sent; only the comparison is blind to
what no reader sees.
"""

import hashlib
import json
import unicodedata


def normalized(prompt: str) -> str:
    """Return `prompt` composed (NFC), each run of white space in it one blank."""
    return " ".join(unicodedata.normalize("NFC", prompt).split())


def cache_key(*matter: object) -> str:
    """Return a hex digest that is equal for equal matter, which JSON can hold."""
    canonical = json.dumps(matter, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
