"""The key schema: every key Darkroom keeps in Redis, and what lies there.

    darkroom:job:{id}                 hash    the record (fields below)
    darkroom:queue                    zset    ready jobs by tag (negative), running
                                              ones by the end of their lease, retries
                                              by their due time (positive, in ms)
    darkroom:queue:batch              zset    ready jobs of priority batch, by tag
    darkroom:queue:suspects:{1..5}    zset    jobs interrupted so often, by tag
    darkroom:queue:wait:key:{key id}  zset    jobs whose key runs as many as it may,
                                              by tag; darkroom:queue:waits names all
    darkroom:queue:wait:routes:{list} zset    jobs whose routes take no calls now, by
                                              tag, one lane for each list of routes
    darkroom:queue:wait:tasks:{route} zset    such whose upstream tasks are there
    darkroom:queue:wait:mixed:{provider}/{account}  zset  such of an account that has
                                              made its share of lanes
    darkroom:queue:wait:version:{v}   zset    such as only later versions can read
    darkroom:queue:lanes:{account}    set     those it made
    darkroom:queue:wait:held:{key id} zset    jobs that may have been bought and whose
                                              key wants to be asked first, by tag
    darkroom:gate:{provider}          hash    running, images (calls under way, and the
                                              images they are for); most, most_images,
                                              per_minute (limits of the fleet), seen_ms
                                              (by a worker), closed_ms (takes no calls
                                              until), next_ms (GCRA)
    darkroom:route:{route}            hash    breaker: failures in a row, opened_ms
                                              (until), probe_ms (one is trying, until),
                                              prober (which)
    darkroom:speed:{route}            ms      what its successful attempts took, the
                                              latest counting most; kept a day
    darkroom:queue:broken             zset    entries without a record, and batches
                                              with a torn one, by time met
    darkroom:queue:open               int     unfinished jobs = entries of all lanes
    darkroom:queue:clock              int     virtual clock: the highest tag claimed
    darkroom:queue:pulse / :grace     ms      last claim or renewal / truce
    darkroom:queue:bell               list    rung when work is ready
    darkroom:claimed:{worker}         text    the worker's last claim
    darkroom:flow:{new|retry}:{account}:{priority}[:{batch}]  int  next tag of a flow
    darkroom:use:{key id}             hash    jobs open, running; units reserved,
                                              used:{YYYY-MM} (of jobs submitted then)
    darkroom:usage:{account}:{YYYY-MM-DD}  hash  the ledger of what was submitted that
                                              day; {key id}:{jobs|succeeded|failed|
                                              canceled|expired|images|units} and
                                              :cost_micros:{source}; kept 400 days
    darkroom:popular:{YYYY-MM-DD}     zset    models by images drawn that day
    darkroom:idem:{account}:{name}    text    job id and content hash
    darkroom:cache:{account}:{digest} text    job id: its images answer equal requests
    darkroom:jobs:{account}           zset    job ids by time of creation, for listing
    darkroom:deadlines                zset    queued jobs by their deadline
    darkroom:retention:batches        zset    ended ones by when they are deleted; those
                                              whose lines come in, by when they must
                                              have gone on; those without a record
    darkroom:retention                zset    final jobs by the time they are deleted;
                                              ids whose images came before the record
    darkroom:ephemeral                zset    final ephemeral jobs by the time they
                                              count as delivered
    darkroom:gone:{id}                text    account of a deleted job, for a 410
    darkroom:alias:{account}:{alias}  text    job id and content hash
    darkroom:events:{account}         stream  changes of state, newest 10,000: job,
                                              state, progress, batch; of a batch: batch,
                                              state
    darkroom:endpoints:{account}      hash    enabled endpoints: types they are told of
    darkroom:delivery:{id}            hash    one event on its way to one endpoint
    darkroom:deliveries:{account}     zset    all of them, by time of the event
    darkroom:deliver                  zset    those to be sent, by when they are due, or
                                              by the end of their lease
    darkroom:deliver:bell             list    rung when one is written; service.webhooks
                                              says what else there is of deliveries and
                                              endpoints
    darkroom:batch:{id}               hash    a batch (see service.batches); beside it
                                              :open (lines under way), :done (in order
                                              of completion), :bad (zset: stretches that
                                              never became jobs, and why, by their ends)
    darkroom:batches:of:{account}     zset    batches by time of creation, for listing
    darkroom:batches:active:{account} set     those in progress, which share its flow
    darkroom:batches:name:{account}:{name}  text  batch id and content hash
    darkroom:batches:expiry           zset    unfinished ones by when they expire, or
                                              when to look for the end of one that was
                                              called off
    darkroom:file:{id}                hash    a file (see service.files, which says also
                                              what lies in darkroom:file:due,
                                              darkroom:files:{account} and
                                              darkroom:upload:{account}:{name})
    darkroom:feed                     zset    batches whose lines are to be read, or
                                              some to be submitted, by when to look
    darkroom:key:{sha256}             hash    an API key; all: darkroom:keys
    darkroom:session:{sha256}         text    key id; see service.accounts.sessions
    darkroom:secret:embed             bytes   what signs embed links
    darkroom:rate:{key id}            us      when its next submission is due (GCRA)
    darkroom:calls:{key id}:{content} hash    calls without an answer, for SDK retries
    darkroom:workers                  zset    worker processes by when they last spoke,
                                              but for those that drain
    darkroom:worker:{name}            text    its slots and version; gone a minute after
    darkroom:tally                    hash    what workers count, for `/metrics`
    darkroom:sweep:{chore}            text    taken by whoever does the chore this time
    darkroom:canary                   text    what `/readyz` writes

    channels: darkroom:finals (lines of "{id} {state}"), darkroom:cancels ("{id}"),
    darkroom:changes (accounts whose events grew), darkroom:feed (batch id),
    darkroom:partials ("{id} {fence} {number}": an unfinished image is in the store)

Fields of a record: state, account, key_id, priority, cost, tag, fence, request (JSON),
created_ms; once known: started_ms, claimed_ms, completed_ms, expires_ms, deadline_ms,
due_ms, worker, attempts, interruptions, attempt:{fence} and hedge:{fence} (JSON: what
was tried, and what beside it), tasks (JSON: those under way upstream), result (JSON),
error (JSON), metadata (JSON), units, progress (0 to 1), most_running, costly (attempts
that may have been billed), routes (one a line), images (asked for, if more than one),
via (the route of a running attempt), via2 (of the call beside it), on_ambiguous (unless
`retry`), traceparent (of the call that made it), held (until it is released), lost (an
image was looked for and is not in the store), shown (what is left of the request of an
ephemeral job once it is final; from then on empty), webhook (JSON), notify (types of
events it is told of), alias, retry_of, batch (`batch line`), custom_id, v (version of
the record, unless it is 1).
"""

from datetime import date

QUEUE = "darkroom:queue"
BELL = "darkroom:queue:bell"
FINALS = "darkroom:finals"
CANCELS = "darkroom:cancels"
PARTIALS = "darkroom:partials"
RETENTION = "darkroom:retention"
EPHEMERAL = "darkroom:ephemeral"
BROKEN = "darkroom:queue:broken"
WAITS = "darkroom:queue:waits"
WORKERS = "darkroom:workers"
TALLY = "darkroom:tally"
API_KEYS = "darkroom:keys"
CHANGES = "darkroom:changes"
DELIVER = "darkroom:deliver"
DELIVER_BELL = "darkroom:deliver:bell"
FEED = "darkroom:feed"
BATCHES_OVER = "darkroom:retention:batches"
BATCHES_EXPIRY = "darkroom:batches:expiry"
CANARY = "darkroom:canary"
_SUSPECT_LANES = 5


def lane(priority: str, interruptions: int) -> str:
    """Return the key of the lane where such a job waits when it is ready."""
    if interruptions > 0:
        return f"{QUEUE}:suspects:{min(interruptions, _SUSPECT_LANES)}"
    return f"{QUEUE}:batch" if priority == "batch" else QUEUE


def waiting(key_id: str) -> str:
    """Return the key of the lane where a key's jobs wait until others of it end."""
    return wait(f"key:{key_id}")


def wait(name: str) -> str:
    """Return the key of a lane by the name that `WAITS` has of it."""
    return f"{QUEUE}:wait:{name}"


def job(job_id: str) -> str:
    """Return the key of a record."""
    return f"darkroom:job:{job_id}"


def jobs_of(account: str) -> str:
    """Return the key of an account's listing."""
    return f"darkroom:jobs:{account}"


def named(account: str, name: str) -> str:
    """Return the key that remembers a caller's `Idempotency-Key`."""
    return f"darkroom:idem:{account}:{name}"


def alias(account: str, alias: str) -> str:
    """Return the key of what an account calls one of its jobs."""
    return f"darkroom:alias:{account}:{alias}"


def cache(account: str, cache_key: str) -> str:
    """Return the key that names the job whose images answer such requests."""
    return f"darkroom:cache:{account}:{cache_key}"


def gone(job_id: str) -> str:
    """Return the key of a deleted job's mark."""
    return f"darkroom:gone:{job_id}"


def events(account: str) -> str:
    """Return the key of an account's event stream."""
    return f"darkroom:events:{account}"


def endpoints(account: str) -> str:
    """Return the key of an account's enabled endpoints, and what they are told of."""
    return f"darkroom:endpoints:{account}"


def delivery(delivery_id: str) -> str:
    """Return the key of one event on its way to one endpoint."""
    return f"darkroom:delivery:{delivery_id}"


def deliveries(account: str) -> str:
    """Return the key of an account's deliveries, by time."""
    return f"darkroom:deliveries:{account}"


def batch(batch_id: str, part: str = "") -> str:
    """Return the key of a batch, or of its `open`, `done` or `bad` lines."""
    return f"darkroom:batch:{batch_id}{part and ':'}{part}"


def batches_of(account: str) -> str:
    """Return the key of an account's listing of batches."""
    return f"darkroom:batches:of:{account}"


def gate(provider: str) -> str:
    """Return the key of what is known of a provider."""
    return f"darkroom:gate:{provider}"


def route(route: str) -> str:
    """Return the key of a route's breaker."""
    return f"darkroom:route:{route}"


def speed(route: str) -> str:
    """Return the key of how long a route takes."""
    return f"darkroom:speed:{route}"


def use(key_id: str) -> str:
    """Return the key of what an API key has open, running, reserved and used."""
    return f"darkroom:use:{key_id}"


def popular(day: date) -> str:
    """Return the key of what was drawn on one day."""
    return f"darkroom:popular:{day.isoformat()}"


def worker(name: str) -> str:
    """Return the key of what a worker says of itself."""
    return f"darkroom:worker:{name}"


def sweep(chore: str) -> str:
    """Return the key that one worker takes to do a chore."""
    return f"darkroom:sweep:{chore}"
