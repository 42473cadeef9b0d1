import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { GuardEvent } from "./events.ts";
import { createGuardWith, type Guard } from "./guard.ts";
import type { GuardInternals } from "./guard-parts.ts";
import type { GuardOptions } from "./options.ts";
import type { RevocationEntry } from "./revocations.ts";
import {
  audience,
  credentials,
  json,
  mint,
  newKey,
  nowSeconds,
  reasonOf,
  resource,
  startIssuer,
  type TestIssuer,
} from "./test-issuer.ts";

const key = newKey("k1");

type Reader = { readonly request: IncomingMessage; readonly response: ServerResponse };

/** A feed as the server's contract says, each reader in the hands of the test. */
function openFeed(issuer: TestIssuer, path = "/revocations") {
  const readers: Reader[] = [];
  const waiting: (() => void)[] = [];
  const feed = {
    readers,
    hello: (_reader: Reader) => {},
    /** Waits for the nth connection, counted from 1. */
    async reader(count: number): Promise<Reader> {
      while (readers.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
      return readers[count - 1] as Reader;
    },
  };
  issuer.routes.set(path, (request, response) => {
    if (request.headers.authorization !== credentials) return void response.writeHead(401).end();
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    response.flushHeaders();
    const reader = { request, response };
    feed.hello(reader);
    readers.push(reader);
    for (const wake of waiting.splice(0)) wake();
  });
  return feed;
}

const send = ({ response }: Reader, type: string, data: { seq: number }) =>
  response.write(`event: ${type}\nid: ${data.seq}\ndata: ${JSON.stringify(data)}\n\n`);
const snapshot = (reader: Reader, seq: number, entries: readonly RevocationEntry[] = []) =>
  send(reader, "snapshot", { seq, entries } as never);
const entry = (seq: number, session: string): RevocationEntry => ({
  seq,
  session,
  before: nowSeconds(),
  until: nowSeconds() + 3600,
});

type Scene = {
  issuer: TestIssuer;
  guard: Guard;
  feed: ReturnType<typeof openFeed>;
  events: GuardEvent[];
  verify: (token: string, requirement?: object) => Promise<string>;
};

async function scene(
  run: (scene: Scene) => Promise<void>,
  options: Partial<GuardOptions> = {},
  internals: GuardInternals = {},
) {
  const issuer = await startIssuer([key]);
  const feed = openFeed(issuer);
  const events: GuardEvent[] = [];
  const guard = createGuardWith(
    { issuer: issuer.url, audience, resource, onEvent: (event) => events.push(event), ...options },
    internals,
  );
  const verify = async (token: string, requirement = {}) => reasonOf(await guard.verify(token, requirement));
  try {
    await run({ issuer, guard, feed, events, verify });
  } finally {
    guard.close();
    await issuer.close();
  }
}

async function until(condition: () => boolean | Promise<boolean>, what: string) {
  for (let i = 0; i < 2000; i++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`never came: ${what}`);
}

const token = (issuer: TestIssuer, sid: string) => mint(key, { iss: issuer.url, sid });

for (const [name, options] of [
  ["node:http", {}],
  ["fetch", { fetch: globalThis.fetch }],
] as const) {
  test(`by ${name}: a snapshot makes the feed live, a revocation is felt as soon as it comes`, () =>
    scene(async ({ issuer, guard, feed, verify, events }) => {
      const [one, two] = [token(issuer, "s1"), token(issuer, "s2")];
      const reader = await feed.reader(1);
      assert.equal(reader.request.headers.accept, "text/event-stream");
      assert.equal(reader.request.headers["last-event-id"], undefined);
      assert.equal(guard.feed().state, "connecting");
      snapshot(reader, 41, [entry(40, "s2")]);
      await guard.ready();
      assert.deepEqual([await verify(one), await verify(two)], ["ok", "revoked"]);
      send(reader, "revocation", entry(43, "s1"));
      await until(async () => (await verify(one)) === "revoked", "the revocation");
      assert.equal(guard.feed().state, "live");
      assert.equal(guard.feed().lastSeq, 43);
      assert.ok(events.some((event) => event.type === "feed_up"));
    }, options));

  test(`by ${name}: after a dropped connection it resumes from its position and stays live`, () =>
    scene(async ({ issuer, guard, feed, verify }) => {
      snapshot(await feed.reader(1), 7);
      await guard.ready();
      const one = token(issuer, "s1");
      assert.equal(await verify(one), "ok");
      issuer.drop();
      const second = await feed.reader(2);
      assert.equal(second.request.headers["last-event-id"], "7");
      send(second, "revocation", entry(8, "s1"));
      await until(async () => (await verify(one)) === "revoked", "the missed revocation");
      assert.equal(guard.feed().state, "live");
    }, options));

  test(`by ${name}: a half-open connection that falls silent is broken, given up and made anew`, () =>
    scene(
      async ({ issuer, guard, feed, verify, events }) => {
        snapshot(await feed.reader(1), 1);
        await guard.ready();
        const one = token(issuer, "s1");
        assert.equal(await verify(one, { whenFeedBroken: "refuse" }), "ok");
        // The second connection says nothing either: the feed stays broken.
        await feed.reader(2);
        await until(() => guard.feed().state === "broken", "broken");
        assert.equal(await verify(one, { whenFeedBroken: "refuse" }), "feed_broken");
        assert.equal(await verify(one), "ok");
        assert.ok(events.some((event) => event.type === "feed_down" && event.reason === "silent"));
        feed.hello = ({ response }) => void response.write(": heartbeat\n\n");
        await until(() => guard.feed().state === "live", "live again");
      },
      { ...options, feedStaleAfterSeconds: 0.5 },
    ));
}

test("heartbeats alone keep it live", () =>
  scene(
    async ({ guard, feed }) => {
      const reader = await feed.reader(1);
      snapshot(reader, 1);
      await guard.ready();
      for (let i = 0; i < 30; i++) {
        reader.response.write(":\n");
        await new Promise((resolve) => setTimeout(resolve, 50));
        assert.equal(guard.feed().state, "live");
      }
      assert.equal(feed.readers.length, 1);
    },
    { feedStaleAfterSeconds: 1 },
  ));

test("a snapshot with a lower position (a restored server) resets the position and forgets nothing", () =>
  scene(async ({ issuer, guard, feed, verify }) => {
    snapshot(await feed.reader(1), 100, [entry(99, "s1")]);
    await guard.ready();
    issuer.drop();
    snapshot(await feed.reader(2), 5, [entry(4, "s2")]);
    await until(() => guard.feed().lastSeq === 5, "the reset");
    assert.equal(await verify(token(issuer, "s1")), "revoked");
    assert.equal(await verify(token(issuer, "s2")), "revoked");
    issuer.drop();
    assert.equal((await feed.reader(3)).request.headers["last-event-id"], "5");
  }));

test("wrong credentials: the log says how to register, the secret stays out of it, no storm of attempts", () =>
  scene(
    async ({ issuer, guard, events }) => {
      await until(() => events.some((event) => event.type === "feed_down"), "feed_down");
      const down = events.find((event) => event.type === "feed_down");
      assert.equal(down?.reason, "unauthorized");
      assert.match(down?.message ?? "", /keyturn client add NAME --type resource/);
      assert.doesNotMatch(JSON.stringify(events), /wrong-secret/);
      await assert.rejects(guard.ready(), /revocation feed is not followed: .*401/);
      assert.equal(issuer.hits.get("/revocations"), 1);
    },
    { resource: { id: "photos", secret: "wrong-secret" } },
    { readyWithinMs: 700 },
  ));

test("an entry that cannot be read breaks the feed instead of being skipped", () =>
  scene(
    async ({ guard, feed, events }) => {
      const reader = await feed.reader(1);
      snapshot(reader, 1);
      await guard.ready();
      send(reader, "revocation", { seq: 2, user: "alice", before: 1, until: 2 } as never);
      await until(() => events.some((event) => event.type === "feed_down"), "feed_down");
      assert.match(JSON.stringify(events.at(-1)), /unreadable.*update @keyturn\/guard/);
      await until(() => guard.feed().state === "broken", "broken");
    },
    { feedStaleAfterSeconds: 0.2 },
  ));

test("the address of the feed comes from the metadata where it is told", async () => {
  const issuer = await startIssuer([key]);
  const feed = openFeed(issuer, "/elsewhere");
  const metadata = {
    issuer: issuer.url,
    jwks_uri: `${issuer.url}/jwks`,
    keyturn_revocation_feed: `${issuer.url}/elsewhere`,
  };
  issuer.routes.set("/.well-known/openid-configuration", json(metadata));
  const guard = createGuardWith({ issuer: issuer.url, audience, resource }, {});
  snapshot(await feed.reader(1), 1);
  await guard.ready();
  assert.equal(guard.feed().state, "live");
  guard.close();
  await issuer.close();
});

test("close() ends the connection, twice is once", () =>
  scene(async ({ guard, feed }) => {
    const { request } = await feed.reader(1);
    // Not once(): a reset is as good an end as any.
    const gone = new Promise((resolve) => request.socket.on("error", () => {}).on("close", resolve));
    guard.close();
    guard.close();
    await gone;
    assert.equal(feed.readers.length, 1);
  }));

test("a process that follows a feed and has nothing else to do may end", () =>
  scene(async ({ issuer, feed }) => {
    feed.hello = (reader) => void snapshot(reader, 1);
    const script = `
      import { createGuard } from ${JSON.stringify(fileURLToPath(new URL("./index.ts", import.meta.url)))};
      const guard = createGuard(${JSON.stringify({ issuer: issuer.url, audience, resource })});
      await guard.ready();
      console.log(guard.feed().state);
    `;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const killer = setTimeout(() => child.kill(), 8000);
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    const [code] = await once(child, "close");
    clearTimeout(killer);
    assert.equal(output.trim(), "live");
    assert.equal(code, 0);
  }));
