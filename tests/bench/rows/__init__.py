"""The rows, in the order in which they run."""

from tests.bench.rows.accept import ACCEPT
from tests.bench.rows.cached import CACHED
from tests.bench.rows.drain import DRAIN
from tests.bench.rows.images import IMAGES, MATRIX
from tests.bench.rows.latency import LATENCY
from tests.bench.rows.one_caller import ONE_CALLER
from tests.bench.rows.webhooks import WEBHOOKS

_ALL = (
    ACCEPT,
    DRAIN,
    LATENCY,
    WEBHOOKS,
    IMAGES,
    MATRIX,
    ONE_CALLER,
    CACHED,
)
ROWS = {row.name: row for row in _ALL}
