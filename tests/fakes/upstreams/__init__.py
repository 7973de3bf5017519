"""Contract fakes: each behaves as one provider documents, and misbehaves on demand.

The suite in `tests/wire/test_provider_contract.py` runs over all of `FAKES`.
"""

from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.bfl import BFLFake
from tests.fakes.upstreams.gemini import GeminiFake

FAKES: tuple[type[Fake], ...] = (BFLFake, GeminiFake)
