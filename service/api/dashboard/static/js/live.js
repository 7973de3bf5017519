// One stream of events for the whole page. What wants to hear of them says so:
//
//   <div data-live="jobs" hx-get="..." hx-trigger="live" hx-swap="innerMorph">
//
// `jobs`, `batches` and `endpoints` hear of all of their kind, an id of its own job or
// batch alone. However many events come, a part is told at most once in a second.

const QUIET_MS = 1000;
const KINDS = { job: "jobs", batch: "batches", endpoint: "endpoints" };
const LATELY_MS = 5000;
const pending = new Map();
const known = new WeakMap();
const lately = new Map();

function names(event) {
  const kind = event.type.split(".")[0];
  return [KINDS[kind], event.job_id, event.batch_id, event.endpoint_id].filter(Boolean);
}

function tell(element) {
  if (pending.has(element)) {
    pending.set(element, true);
    return;
  }
  element.dispatchEvent(new CustomEvent("live"));
  pending.set(element, false);
  setTimeout(() => {
    const again = pending.get(element);
    pending.delete(element);
    if (again && element.isConnected) tell(element);
  }, QUIET_MS);
}

function heard(event) {
  const about = new Set(names(event));
  for (const element of document.querySelectorAll("[data-live]")) {
    if (element.dataset.live.split(" ").some((name) => about.has(name))) tell(element);
  }
  for (const name of about) lately.set(name, performance.now());
  if (lately.size > 1000) lately.clear();
  document.dispatchEvent(new CustomEvent("darkroom", { detail: event }));
}

// What is put in place may have been written before an event that came sooner.
function lookAtNew() {
  for (const element of document.querySelectorAll("[data-live]")) {
    const { live } = element.dataset;
    if (known.get(element) === live) continue;
    known.set(element, live);
    const isLate = (name) => performance.now() - (lately.get(name) ?? -LATELY_MS) < LATELY_MS;
    if (live.split(" ").some(isLate)) tell(element);
  }
}

const TYPES = [
  "job.queued", "job.held", "job.started", "job.progress", "job.succeeded", "job.failed",
  "job.canceled", "job.expired", "batch.validating", "batch.in_progress", "batch.finalizing",
  "batch.completed", "batch.failed", "batch.expired", "batch.cancelling", "batch.cancelled",
  "endpoint.disabled",
];

export function follow(address) {
  if (!address) return;
  const stream = new EventSource(address);
  for (const type of TYPES) stream.addEventListener(type, (event) => heard(JSON.parse(event.data)));
  // After a break something may have been missed: look at everything once.
  let broken = false;
  const lookAtAll = () => document.querySelectorAll("[data-live]").forEach(tell);
  stream.addEventListener("error", () => { broken = true; });
  stream.addEventListener("open", () => { if (broken) lookAtAll(); broken = false; });
  stream.addEventListener("snapshot", lookAtAll);
  lookAtNew();
  document.addEventListener("htmx:after:swap", lookAtNew);
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}
