// OpenAI's SDK for Node, unmodified, which says what a file is for behind the file. Run
// by tests/conformance/test_openai_node.py like its neighbor.

import assert from "node:assert/strict";
import { File } from "node:buffer";
import { createReadStream } from "node:fs";
import { test } from "node:test";

import OpenAI, { toFile } from "openai";

globalThis.File ??= File; // what the SDK asks of Node 18, which has it elsewhere

const { BASE_URL, KEY, PICTURE } = process.env;
const client = new OpenAI({ baseURL: BASE_URL, apiKey: KEY });
const lines = '{"custom_id": "1"}\n{"custom_id": "2"}\n';
const upload = () => toFile(Buffer.from(lines), "größer.jsonl");

test("a file that is created is read and deleted again", async () => {
  const made = await client.files.create({ file: await upload(), purpose: "batch" });

  assert.deepEqual(await client.files.retrieve(made.id), made);
  assert.equal(made.filename, "größer.jsonl");
  assert.equal(await (await client.files.content(made.id)).text(), lines);
  assert.equal((await client.files.delete(made.id)).deleted, true);
  await assert.rejects(client.files.retrieve(made.id), OpenAI.NotFoundError);
});

test("a file may come out of a stream and expire", async () => {
  const made = await client.files.create({
    file: createReadStream(PICTURE),
    purpose: "vision",
    expires_after: { anchor: "created_at", seconds: 3600 },
  });

  assert.equal(made.expires_at - made.created_at, 3600);
  assert.equal(made.filename, "image.webp");
});

test("files are listed page by page", async () => {
  for (let i = 0; i < 3; i += 1) {
    await client.files.create({ file: await upload(), purpose: "user_data" });
  }

  const seen = [];
  for await (const file of client.files.list({ limit: 2, purpose: "user_data" })) {
    seen.push(file.id);
  }

  assert.equal(new Set(seen).size, 3);
});
