"""Webhooks: who is told of events, and every event on its way to one of them.

`Endpoints` and `Deliveries` are the front door's side; `DeliveryLeases` the worker's.
The deliveries themselves are written by the scripts that change a job or a batch, in
the same step (`service/job_store/scripts/outbox.lua`), so that none is ever missed.

    darkroom:endpoint:{id}          hash   account, url, events, description, secret,
                                           old_secret and old_until_ms while it is being
                                           rotated, state (enabled, disabled), reason
                                           (asked, gone, failing), created_ms,
                                           disabled_ms, failing_ms (nothing but failures
                                           since, and no long silence), failed_ms (the
                                           last of them)
    darkroom:endpoints:{account}:all  zset  the account's, by time of creation
    darkroom:endpoint:named:{sha1}  text   what a call of that idempotency key made: id
                                           and digest of what it said
    darkroom:secret:webhooks:{account} text  signs what goes to URLs of jobs
    darkroom:deliver:target:{t}     hash   failures in a row, opens_ms, probe (delivery
                                           that tries it)
    darkroom:deliver:gone:{sha1}    text   a URL that answered 410 to this account
    darkroom:deliver:held:{t}       set    deliveries in work
    darkroom:deliver:wait:{t}       zset   those over what it takes, by time
    darkroom:deliver:waits          set    targets where any wait
    darkroom:deliver:pulse, :grace  ms     as those of the queue
    darkroom:deliver:host:{host}    ms     when it is called next
    darkroom:deliver:counts         hash   attempts and ends, by how they went

A target is an endpoint, or for URLs that jobs name themselves an account and a host.
`account:{account}` has a set and a lane, too, for its share of all slots. Beside what
`outbox.lua` writes a delivery has: state (pending, running, delivered, failed), reason
(exhausted, gone, endpoint_disabled, endpoint_deleted, invalid_url), worker, log:{n}
(JSON), base and since_ms (attempts made, and when, as somebody asked for it anew),
completed_ms and turn (it has waited for its host's pace).
"""

from service.webhooks.deliveries import Deliveries, Delivery, LoggedAttempt
from service.webhooks.endpoints import Endpoint, Endpoints
from service.webhooks.leases import DeliveryLeases, Ending, Parcel, Settled

__all__ = [
    "Deliveries",
    "Delivery",
    "DeliveryLeases",
    "Ending",
    "Endpoint",
    "Endpoints",
    "LoggedAttempt",
    "Parcel",
    "Settled",
]
