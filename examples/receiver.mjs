// Receive webhooks with Node alone: node receiver.mjs 3000
// WEBHOOK_SECRET is what signs them: `darkroom listen --print-secret`, or the
// secret that POST /v1/endpoints answered with.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const secret = process.env.WEBHOOK_SECRET;
const seen = new Set(); // yours should outlive the process

export function isGenuine(body, headers, secret) {
  const id = headers["webhook-id"];
  const at = headers["webhook-timestamp"];
  if (!(Math.abs(Date.now() / 1000 - Number(at)) <= 300)) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const mac = createHmac("sha256", key).update(`${id}.${at}.`).update(body);
  const expected = Buffer.from(`v1,${mac.digest("base64")}`);
  return String(headers["webhook-signature"]).split(" ").some((one) => {
    const given = Buffer.from(one);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}

createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts);
  const genuine = isGenuine(body, request.headers, secret);
  response.writeHead(genuine ? 204 : 401).end();
  if (!genuine) return;
  const event = JSON.parse(body);
  if (seen.has(event.id)) return; // it may come twice
  seen.add(event.id);
  console.log(event.type, event.data.id);
}).listen(Number(process.argv[2]), "127.0.0.1");
