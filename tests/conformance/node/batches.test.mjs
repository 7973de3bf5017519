// OpenAI's SDK for Node, unmodified: a batch from its file to its results, and one called
// off. Run by tests/conformance/test_openai_node.py like its neighbors.

import assert from "node:assert/strict";
import { File } from "node:buffer";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";

import OpenAI, { ConflictError, toFile } from "openai";

globalThis.File ??= File; // what the SDK asks of Node 18, which has it elsewhere

const { BASE_URL, KEY } = process.env;
const client = new OpenAI({ baseURL: BASE_URL, apiKey: KEY });
const endpoint = "/v1/images/generations";

const call = (name, body = {}) =>
  JSON.stringify({
    custom_id: name,
    method: "POST",
    url: endpoint,
    body: { model: "test/test", prompt: `a fox, ${name}`, ...body },
  });

async function create(...lines) {
  const file = await toFile(Buffer.from(lines.join("\n")), "calls.jsonl");
  const { id } = await client.files.create({ file, purpose: "batch" });
  return client.batches.create({
    input_file_id: id,
    endpoint,
    completion_window: "24h",
  });
}

async function ended(batch) {
  while (["validating", "in_progress", "finalizing", "cancelling"].includes(batch.status)) {
    await setTimeout(50);
    batch = await client.batches.retrieve(batch.id);
  }
  return batch;
}

async function rows(file) {
  const text = await (await client.files.content(file)).text();
  return text.trim().split("\n").map((line) => JSON.parse(line));
}

test("a batch is made, and its bad line is told apart", async () => {
  const batch = await ended(await create(call("a"), call("b"), call("c", { n: 0 })));

  assert.equal(batch.status, "completed");
  assert.deepEqual(
    [batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed],
    [3, 2, 1],
  );
  const output = await rows(batch.output_file_id);
  assert.deepEqual(output.map((row) => row.custom_id).sort(), ["a", "b"]);
  for (const { response } of output) {
    const shown = await fetch(response.body.data[0].url);
    assert.equal(shown.headers.get("content-type"), "image/png");
  }
  const [error] = await rows(batch.error_file_id);
  assert.deepEqual([error.custom_id, error.error.code], ["c", "invalid_n"]);
});

test("a batch is called off once, and listed", async () => {
  const slow = await create(call("slow", { model: "test/slow-2" }), call("quick"));
  const canceled = await client.batches.cancel(slow.id);

  assert.ok(["cancelling", "cancelled"].includes(canceled.status));
  const done = await ended(await create(call("a")));
  await assert.rejects(() => client.batches.cancel(done.id), ConflictError);
  const listed = [];
  for await (const batch of client.batches.list({ limit: 1 })) listed.push(batch.id);
  assert.ok(listed.includes(slow.id) && listed.includes(done.id));
});
