import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { stoppedClock } from "../test-server.ts";
import { createBreachLookups } from "./breach-lookups.ts";

const password = "a stolen one";
const sha1 = createHash("sha1").update(password).digest("hex").toUpperCase();
const [prefix, rest] = [sha1.slice(0, 5), sha1.slice(5)];
const padding = `${"0".repeat(34)}1:0\r\n${"F".repeat(35)}:0`;

let asked: IncomingMessage[] = [];
let answer: RequestListener;
const service = createServer((request, response) => {
  asked.push(request);
  void answer(request, response);
});
const says = (text: string, status = 200) => {
  answer = (_request, response) => void response.writeHead(status).end(text);
};
let host: string;

before(async () => {
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  host = `127.0.0.1:${(service.address() as AddressInfo).port}`;
});
beforeEach(() => {
  asked = [];
});
after(() => {
  service.closeAllConnections();
  service.close();
});

function lookups(more: { privateHosts?: string[]; breachedPasswords?: string } = {}) {
  const clock = stoppedClock();
  const lines: unknown[][] = [];
  const log = { warn: (...line: unknown[]) => void lines.push(line) };
  const settings = { breachedPasswords: `http://${host}/range/`, privateHosts: [host], ...more };
  const made = createBreachLookups({ settings, clock, log } as Parameters<typeof createBreachLookups>[0]);
  assert.ok(made.isBreached);
  return { isBreached: made.isBreached, counts: made.counts, clock, lines };
}

test("a service is told the first five digits of the SHA-1 and nothing more of the password", async () => {
  says(`${padding}\r\n${rest}:3\r\n`);
  const { isBreached, counts } = lookups();
  assert.equal(await isBreached(password), true);
  const [request] = asked;
  assert.equal(request?.url, `/range/${prefix}`);
  assert.equal(request?.method, "GET");
  assert.equal(request?.headers["add-padding"], "true");
  const sent = [request?.url, ...(request?.rawHeaders ?? [])].join("\n").toUpperCase();
  assert.ok(
    !sent.includes(sha1.slice(0, 6)) && !sent.includes(rest) && !sent.includes(password.toUpperCase()),
  );
  assert.deepEqual(counts(), { found: 1, absent: 0, failed: 0 });
});

test("another password of the range, padding, and an empty range are not found; digits may be small", async () => {
  const { isBreached, counts } = lookups();
  for (const text of [padding, `${rest}:0`, "", `${"A".repeat(35)}:12\n`]) {
    says(text);
    assert.equal(await isBreached(password), false, text);
  }
  says(`${rest.toLowerCase()}:1`);
  assert.equal(await isBreached(password), true);
  assert.deepEqual(counts(), { found: 1, absent: 4, failed: 0 });
});

test("when the service fails the password is taken, which is counted, and logged once a minute without it", async () => {
  const { isBreached, counts, lines, clock } = lookups();
  const answers: [string, number?][] = [
    [`${rest}:3`, 500],
    [`${rest}:3`, 404],
    [`${rest}:3`, 302],
    ["<html>Please sign in to this network</html>"],
    [`${rest}:3\n<html>`],
    [`${rest}:-3`],
    [`${rest}`],
    [`${rest}:3\n`.repeat(10_000)],
  ];
  for (const given of answers) {
    says(...given);
    assert.equal(await isBreached(password), false, given[0].slice(0, 50));
  }
  answer = (request) => void request.socket.destroy();
  assert.equal(await isBreached(password), false);
  assert.deepEqual(counts(), { found: 0, absent: 0, failed: answers.length + 1 });
  assert.equal(lines.length, 1);
  clock.pass(60);
  assert.equal(await isBreached(password), false);
  assert.equal(lines.length, 2);
  const logged = JSON.stringify(lines);
  for (const secret of [password, sha1, prefix, rest]) assert.ok(!logged.includes(secret));
});

test("a service that never answers is waited for 1.5 seconds", async () => {
  const { isBreached, lines } = lookups();
  answer = () => {};
  const begun = performance.now();
  assert.equal(await isBreached(password), false);
  const took = performance.now() - begun;
  assert.ok(took > 1_000 && took < 5_000, `${took} ms`);
  assert.match(JSON.stringify(lines), /too_slow/);
});

test("a service at a private address is not asked unless the settings allow its host", async () => {
  says(`${rest}:3`);
  const { isBreached, counts } = lookups({ privateHosts: [] });
  assert.equal(await isBreached(password), false);
  const inside = lookups({ privateHosts: [], breachedPasswords: `https://${host}/range/` });
  assert.equal(await inside.isBreached(password), false);
  assert.equal(asked.length, 0);
  assert.equal(counts().failed, 1);
});

test("without a service there is nothing to ask and nothing to count", () => {
  const settings = { breachedPasswords: "local", privateHosts: [] };
  const log = { warn: assert.fail };
  const made = createBreachLookups({ settings, clock: stoppedClock(), log });
  assert.equal(made.isBreached, undefined);
  assert.deepEqual(made.counts(), {});
});
