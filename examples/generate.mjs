// Make one image and show how far it is: node generate.mjs "a lighthouse" lighthouse.png
// Needs Node 18.15 or newer, and no package.
import { writeFile } from "node:fs/promises";

const { DARKROOM_URL: url, DARKROOM_API_KEY: key } = process.env;
const [prompt, file] = process.argv.slice(2);

async function ask(path, options = {}) {
  const headers = { Authorization: `Bearer ${key}`, ...options.headers };
  const answer = await fetch(url + path, { ...options, headers });
  if (!answer.ok) {
    const { error } = await answer.json();
    throw new Error(`${error.code}: ${error.message}`);
  }
  return answer;
}

// Yields the events of a job, and ends with the job. A broken stream is asked for
// again, from behind the last event that came.
async function* eventsOf(id) {
  let last = "";
  for (;;) {
    const headers = last ? { "Last-Event-ID": last } : {};
    const answer = await ask(`/v1/jobs/${id}/events`, { headers });
    if (answer.status === 204) return;
    let text = "";
    for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
      const frames = (text + part).split("\n\n");
      text = frames.pop();
      for (const frame of frames) {
        const data = frame.match(/^data: (.*)$/m);
        if (!data) continue; // a comment, or the time to wait
        const event = JSON.parse(data[1]);
        last = event.id;
        yield event;
        if (event.job?.completed_at) return;
      }
    }
  }
}

const submitted = await ask("/v1/jobs", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ model: "test/test", prompt }),
});
let job = await submitted.json();
for await (const event of eventsOf(job.id)) {
  console.log(event.type, event.progress ?? "");
  job = event.job ?? job;
}
if (job.status !== "succeeded") throw new Error(`${job.id} ${job.status}: ${job.error?.message}`);

const image = await fetch(job.result.data[0].url);
await writeFile(file, Buffer.from(await image.arrayBuffer()));
console.log(`${file}: ${job.id}`);
