"""The rows, in the order in which they run."""

from tests.bench.rows.accept import ACCEPT
from tests.bench.rows.drain import DRAIN
from tests.bench.rows.latency import LATENCY
from tests.bench.rows.webhooks import WEBHOOKS

ROWS = {row.name: row for row in (ACCEPT, DRAIN, LATENCY, WEBHOOKS)}
