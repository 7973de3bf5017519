"""What every attempt works with; `ctx["worker"]` of the engine."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from service.core.catalog import Catalog
from service.core.provider import Provider
from service.core.retries import RetryPolicy
from service.image_store import ImageStore
from service.imaging import Imaging
from service.job_store.leases import Leases
from workers.inputs import Inputs
from workers.partials import Partials


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """Shared by all attempts of a process.

    Attributes:
        providers: By their name in the catalog; one without a key is absent.
        attempt_timeout: No attempt takes longer, whatever the provider's own is.
        dice: See `RetryPolicy.wait_after`.
    """

    catalog: Catalog
    leases: Leases
    providers: Mapping[str, Provider]
    images: ImageStore
    imaging: Imaging
    inputs: Inputs
    partials: Partials
    retries: RetryPolicy
    attempt_timeout: timedelta
    dice: Callable[[], float] = random.random
