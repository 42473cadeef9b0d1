import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { limits } from "./primitives/limits.ts";
import { exchange, startTestServer } from "./test-server.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const server = await startTestServer({ settings: { logLevel: "fatal", registration: "off" } });
after(server.close);
await server.addUser("alice");

/** One of each kind that is refused, with something in it that no request before had. */
function requests(number: number): { path: string; method: string; fields?: string; body?: string }[] {
  const odd = `${number}-${"x".repeat(ODD_CHARACTERS)}`;
  const jwt = `eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Im4ifQ.${Buffer.from(odd).toString("base64url")}.${"A".repeat(86)}`;
  const json = "Content-Type: application/json\r\n";
  const form = "Content-Type: application/x-www-form-urlencoded\r\n";
  return [
    { method: "GET", path: `/nothing/${odd}` },
    { method: "GET", path: `/sessions/${odd}`, fields: `Authorization: Bearer ${jwt}\r\n` },
    { method: "GET", path: "/me", fields: `Authorization: Bearer ${jwt}\r\nUser-Agent: ${odd}\r\n` },
    { method: "GET", path: "/me", fields: `Authorization: DPoP ${jwt}\r\nDPoP: ${jwt}\r\n` },
    { method: "GET", path: "/session", fields: `Cookie: __Host-keyturn=${odd}\r\n` },
    {
      method: "POST",
      path: "/refresh",
      fields: `${json}Idempotency-Key: ${number}\r\n`,
      body: JSON.stringify({ refreshToken: `krt_${odd}` }),
    },
    { method: "POST", path: "/refresh", fields: json, body: `{"${odd}":${"[".repeat(500)}` },
    { method: "POST", path: "/logout", fields: json, body: JSON.stringify({ refreshToken: odd }) },
    {
      method: "POST",
      path: "/oauth/token",
      fields: form,
      body: `grant_type=${odd}&client_id=${odd}&code=${odd}`,
    },
    {
      method: "POST",
      path: "/oauth/introspect",
      fields: `${form}Authorization: Basic ${btoa(`${number}:x`)}\r\n`,
      body: `token=${jwt}`,
    },
    {
      method: "POST",
      path: "/login/second-factor",
      fields: json,
      body: JSON.stringify({ ticket: `ktt_${odd}`, code: "123456" }),
    },
    {
      method: "GET",
      path: `/oauth/authorize?client_id=${number}&redirect_uri=https://${number}.example&state=${odd}`,
    },
    {
      method: "GET",
      path: "/revocations",
      fields: `Authorization: Basic ${btoa(`${number}:x`)}\r\nLast-Event-ID: ${number}\r\n`,
    },
    { method: "POST", path: "/refresh", fields: json, body: " ".repeat(limits.bodyBytesMax + 1) },
    {
      method: "OPTIONS",
      path: "/oauth/token",
      fields: `Origin: https://${number}.example\r\nAccess-Control-Request-Method: POST\r\n`,
    },
    { method: "PROPFIND", path: `/${number}` },
  ];
}

/** So much is the odd part of a request: one kind of sixteen that kept it would show. */
const ODD_CHARACTERS = 2000;
const REQUESTS_A_ROUND = 16 * 30;
/** In these everything is loaded that is loaded once, and every bounded table fills. */
const ROUNDS_BEFORE = 6;
const ROUNDS = 4;
/** A kind that kept its odd part would add 125, and more with its objects. */
const BYTES_A_REQUEST_MAX = 60;

async function round(number: number): Promise<void> {
  const sets = REQUESTS_A_ROUND / 16;
  for (let at = 0; at < sets; at++) {
    const replies = await Promise.all(
      requests(number * sets + at).map(({ method, path, fields = "", body = "" }) => {
        const length = body === "" ? "" : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
        return exchange(
          server.port,
          `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${fields}${length}\r\n${body}`,
        );
      }),
    );
    for (const { status } of replies) assert.ok(status < 500, String(status));
  }
}

async function heapBytes(): Promise<number> {
  for (let pass = 0; pass < 3; pass++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return process.memoryUsage().heapUsed;
}

test("requests that are refused leave nothing behind, however many kinds and names they have", async () => {
  let number = 0;
  const rounds = async (many: number) => {
    for (let done = 0; done < many; done++) await round(number++);
    return heapBytes();
  };
  const before = await rounds(ROUNDS_BEFORE);
  // A table that fills late is given a second look: what grows without end grows again.
  const grown: number[] = [];
  for (let last = before; grown.length < 3; ) {
    const bytes = await rounds(ROUNDS);
    grown.push((bytes - last) / (ROUNDS * REQUESTS_A_ROUND));
    if ((grown.at(-1) ?? 0) < BYTES_A_REQUEST_MAX) return;
    last = bytes;
  }
  assert.fail(`the heap grows by ${grown.map(Math.round).join(", ")} bytes a request`);
});
