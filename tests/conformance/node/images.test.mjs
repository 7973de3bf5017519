// OpenAI's SDK for Node, unmodified. Run by tests/conformance/test_openai_node.py, which
// names the front door and the keys in the environment and reports test by test.

import assert from "node:assert/strict";
import { File } from "node:buffer";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import OpenAI, { toFile } from "openai";

globalThis.File ??= File; // what the SDK asks of Node 18, which has it elsewhere

const { BASE_URL, KEY, FORBIDDEN_KEY, POOR_KEY, PICTURE, MASK } = process.env;
const client = new OpenAI({ baseURL: BASE_URL, apiKey: KEY });
const fox = { model: "test/test", prompt: "a fox", size: "64x64" };
const picture = () => toFile(readFileSync(PICTURE), "picture.webp", { type: "image/webp" });
const mask = () => toFile(readFileSync(MASK), "mask.webp", { type: "image/webp" });

const PNG = Buffer.from("\x89PNG", "latin1");
const assertPng = (base64) =>
  assert.deepEqual(Buffer.from(base64, "base64").subarray(0, 4), PNG);

async function assertThrown(promise, kind, expected) {
  const error = await promise.then(
    () => assert.fail("nothing was thrown"),
    (thrown) => thrown,
  );
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
  const { status, code, param } = error;
  assert.deepEqual({ status, code, param }, expected);
  assert.match(error.requestID, /^req_/);
}

test("generate answers with a link that anybody can read", async () => {
  const made = await client.images.generate(fox);

  const image = await fetch(made.data[0].url);
  assert.equal(image.status, 200);
  assert.equal(image.headers.get("content-type"), "image/png");
  assert.ok(Math.abs(made.created - Date.now() / 1000) < 60);
});

test("generate answers with base64 where it is asked for", async () => {
  const made = await client.images.generate({ ...fox, response_format: "b64_json" });

  assertPng(made.data[0].b64_json);
});

test("generate answers with base64 for gpt-image-1 unasked", async () => {
  const made = await client.images.generate({
    model: "gpt-image-1",
    prompt: "a fox",
    size: "1024x1024",
    quality: "low",
    background: "opaque",
    moderation: "low",
    output_format: "png",
    user: "u-1",
  });

  assertPng(made.data[0].b64_json);
  assert.equal(made.size, "1024x1024");
  assert.equal(made.quality, "low");
  assert.equal(made.output_format, "png");
  assert.equal(typeof made.usage.total_tokens, "number");
});

test("generate makes three different images of one prompt", async () => {
  const made = await client.images.generate({ ...fox, n: 3, response_format: "b64_json" });

  assert.equal(new Set(made.data.map((image) => image.b64_json)).size, 3);
});

test("generate streams partial images and then the whole one", async () => {
  const stream = await client.images.generate({ ...fox, stream: true, partial_images: 2 });

  const events = [];
  for await (const event of stream) events.push(event);

  const types = events.map((event) => event.type);
  assert.deepEqual(types, [
    "image_generation.partial_image",
    "image_generation.partial_image",
    "image_generation.completed",
  ]);
  const indexes = events.slice(0, 2).map((event) => event.partial_image_index);
  assert.deepEqual(indexes, [0, 1]);
  events.forEach((event) => assertPng(event.b64_json));
});

test("a refusal in the stream is thrown", async () => {
  const refused = { ...fox, model: "test/refuse", stream: true };

  const error = await client.images
    .generate(refused)
    .then(async (stream) => {
      for await (const event of stream) assert.fail(event.type);
    })
    .catch((thrown) => thrown);

  assert.ok(error instanceof OpenAI.APIError, String(error));
  assert.equal(error.code, "content_policy");
});

test("edit takes one image", async () => {
  const made = await client.images.edit({
    ...fox,
    image: await picture(),
    response_format: "b64_json",
  });

  assertPng(made.data[0].b64_json);
});

test("edit takes many images and numbers as text", async () => {
  const made = await client.images.edit({
    ...fox,
    image: [await picture(), await picture(), await picture()],
    n: 2,
    response_format: "b64_json",
  });

  assert.equal(made.data.length, 2);
});

test("edit takes a mask", async () => {
  const plain = { ...fox, response_format: "b64_json" };

  const masked = await client.images.edit({
    ...plain,
    image: await picture(),
    mask: await mask(),
  });
  const whole = await client.images.edit({ ...plain, image: await picture() });

  assertPng(masked.data[0].b64_json);
  assert.notEqual(masked.data[0].b64_json, whole.data[0].b64_json);
});

test("edit streams", async () => {
  const stream = await client.images.edit({ ...fox, image: await picture(), stream: true });

  const types = [];
  for await (const event of stream) types.push(event.type);

  assert.equal(types.at(-1), "image_edit.completed");
});

test("variations of an image are made", async () => {
  const made = await client.images.createVariation({
    image: await picture(),
    model: "test/test",
    n: 2,
    size: "256x256",
    response_format: "b64_json",
  });

  assert.equal(made.data.length, 2);
});

test("models are listed and retrieved by ids with slashes", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);

  const one = await client.models.retrieve("test/test");

  assert.ok(ids.includes("openai/gpt-image-1"));
  assert.deepEqual([one.id, one.object, one.owned_by], ["test/test", "model", "test"]);
  assert.equal(typeof one.created, "number");
});

test("a job instead of images is a matter of one header", async () => {
  const headers = { Prefer: "respond-async" };
  const { data: job, response } = await client.images
    .generate({ ...fox, prompt: "a fox to come" }, { headers })
    .withResponse();

  const read = await client.get(`/jobs/${job.id}?wait=30`);

  assert.equal(response.status, 202);
  assert.ok(response.headers.get("location").endsWith(`/v1/jobs/${job.id}`));
  assert.equal(read.status, "succeeded");
});

test("400 is a bad request that names the field", () =>
  assertThrown(client.images.generate({ ...fox, size: "0x0" }), OpenAI.BadRequestError, {
    status: 400,
    code: "invalid_size",
    param: "size",
  }));

test("400 is a rejected prompt", () =>
  assertThrown(
    client.images.generate({ ...fox, model: "test/refuse" }),
    OpenAI.BadRequestError,
    { status: 400, code: "content_policy", param: null },
  ));

test("401 is an authentication error", () =>
  assertThrown(
    client.withOptions({ apiKey: "sk_nobody" }).images.generate(fox),
    OpenAI.AuthenticationError,
    { status: 401, code: "invalid_key", param: null },
  ));

test("403 is a permission denied", () =>
  assertThrown(
    client.withOptions({ apiKey: FORBIDDEN_KEY }).images.generate(fox),
    OpenAI.PermissionDeniedError,
    { status: 403, code: "key_scope", param: null },
  ));

test("404 is not found", () =>
  assertThrown(
    client.images.generate({ ...fox, model: "no/such" }),
    OpenAI.NotFoundError,
    { status: 404, code: "unknown_model", param: "model" },
  ));

test("409 is a conflict", async () => {
  const headers = { Prefer: "respond-async" };
  const job = await client.images.generate({ ...fox, prompt: "too late" }, { headers });
  await client.get(`/jobs/${job.id}?wait=30`);

  const canceled = client.post(`/jobs/${job.id}/cancel`, { maxRetries: 0 });

  await assertThrown(canceled, OpenAI.ConflictError, {
    status: 409,
    code: "already_finished",
    param: null,
  });
});

test("422 is an unprocessable entity", async () => {
  const headers = { "Idempotency-Key": "node-once" };
  await client.images.generate(fox, { headers });

  const other = client.images.generate({ ...fox, prompt: "another fox" }, { headers });

  await assertThrown(other, OpenAI.UnprocessableEntityError, {
    status: 422,
    code: "idempotency_mismatch",
    param: null,
  });
});

test("429 is a rate limit that says when to come again", () =>
  assertThrown(
    client.withOptions({ apiKey: POOR_KEY, maxRetries: 0 }).images.generate(fox),
    OpenAI.RateLimitError,
    { status: 429, code: "quota_exceeded", param: null },
  ));

test("5xx is an internal server error", () =>
  assertThrown(
    client.images.generate({ ...fox, model: "test/fail" }, { maxRetries: 0 }),
    OpenAI.InternalServerError,
    { status: 503, code: "provider_unavailable", param: null },
  ));
