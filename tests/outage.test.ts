import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createGuard, type Guard, type GuardEvent, type Requirement } from "@keyturn/guard";
import { openTestDatabase } from "../packages/server/src/storage/test-database.ts";
import { call, type KeyturnServer, startExample, startKeyturn } from "./keyturn-process.ts";
import { createStage, untilTrue } from "./stage.ts";

const stage = createStage();
after(() => stage.clear());

const feedStaleAfterSeconds = 2;
let keyturn: KeyturnServer;
let resource: { RESOURCE_ID: string; RESOURCE_SECRET: string };

before(async () => {
  const place = await openTestDatabase({ empty: true });
  stage.onClear(() => place.close());
  keyturn = await startKeyturn(stage, { database: place.url });
  resource = await keyturn.addResource("api");
  await keyturn.register("alice");
});

interface FollowingGuard {
  readonly guard: Guard;
  readonly events: GuardEvent[];
  /** The `Last-Event-ID` of each connection to the feed. */
  readonly positions: (string | null)[];
}

/** A guard that follows over HTTP; what it asks the server is written down on the way. */
async function follow(): Promise<FollowingGuard> {
  const events: GuardEvent[] = [];
  const positions: (string | null)[] = [];
  const guard = createGuard({
    issuer: keyturn.issuer,
    audience: keyturn.issuer,
    resource: { id: resource.RESOURCE_ID, secret: resource.RESOURCE_SECRET },
    feedStaleAfterSeconds,
    onEvent: (event) => void events.push(event),
    fetch(input, init) {
      if (String(input).endsWith("/revocations"))
        positions.push(new Headers(init?.headers).get("last-event-id"));
      return fetch(input, init);
    },
  });
  stage.onClear(() => guard.close());
  await guard.ready();
  return { guard, events, positions };
}

async function outcomeOf(guard: Guard, token: string, requirement?: Requirement): Promise<number | "good"> {
  const verification = await guard.verify(token, requirement);
  return verification.ok ? "good" : verification.refusal.status;
}

const insist: Requirement = { whenFeedBroken: "refuse" };

test("guards go on through a crash of the server, each route by its policy, and then know what they missed", async () => {
  const { guard, events, positions } = await follow();
  const api = await startExample(stage, "express/app.ts", { KEYTURN_ISSUER: keyturn.issuer, ...resource });
  const [revoked, kept, unseen, early] = [
    await keyturn.login("alice"),
    await keyturn.login("alice"),
    await keyturn.login("alice"),
    await keyturn.login("alice"),
  ];
  // Something is in the feed before, so that there is a position to go on from.
  await keyturn.call("/logout", { json: { refreshToken: early.refreshToken } });
  await untilTrue(
    2,
    async () => (await outcomeOf(guard, early.accessToken)) === 401,
    "the feed is not heard",
  );
  const position = guard.feed().lastSeq;
  for (const { accessToken } of [revoked, kept])
    assert.equal(await outcomeOf(guard, accessToken, insist), "good");

  await keyturn.kill();
  assert.equal(await outcomeOf(guard, kept.accessToken), "good", "accept: goes on at once");
  const refusing = async () => (await outcomeOf(guard, kept.accessToken, insist)) === 503;
  await untilTrue(feedStaleAfterSeconds + 1, refusing, "refuse: the route did not answer 503");
  assert.equal(await outcomeOf(guard, kept.accessToken), "good", "accept: goes on for a token seen before");
  assert.equal(
    await outcomeOf(guard, unseen.accessToken),
    "good",
    "accept: and for one never seen, by the keys at hand",
  );
  assert.equal((await call(`${api.url}/protected`, { token: unseen.accessToken })).status, 200);
  assert.equal(guard.feed().state, "broken");

  // The operator ends a session while no server runs at all.
  await keyturn.cli(["session", "revoke", revoked.sessionId]);
  assert.equal(await outcomeOf(guard, revoked.accessToken), "good", "nobody could tell the guard yet");

  await keyturn.restart();
  await untilTrue(12, () => guard.feed().state === "live", "the guard did not come back to the feed");
  const isRefused = async () => (await outcomeOf(guard, revoked.accessToken)) === 401;
  await untilTrue(1, isRefused, "the guard does not know what was revoked meanwhile");
  assert.equal(await outcomeOf(guard, kept.accessToken, insist), "good", "refuse: the route is open again");
  const missedBy = async () =>
    (await call(`${api.url}/protected`, { token: revoked.accessToken })).status === 401;
  await untilTrue(12, missedBy, "the API does not know what was revoked meanwhile");

  assert.equal(positions[0], null, "the first connection asks for a snapshot");
  assert.equal(positions.at(-1), String(position), "the last one resumes");
  const told = events.flatMap(({ type }) => (type.startsWith("feed_") ? [type] : []));
  assert.deepEqual([told[0], told[1], told.at(-1)], ["feed_up", "feed_down", "feed_up"]);
});

test("introspect: while only the feed is cut, the server itself is asked, and what ends meanwhile is refused at once", async () => {
  let cut = new AbortController();
  let isCut = false;
  const events: GuardEvent[] = [];
  const guard = createGuard({
    issuer: keyturn.issuer,
    audience: keyturn.issuer,
    resource: { id: resource.RESOURCE_ID, secret: resource.RESOURCE_SECRET },
    feedStaleAfterSeconds: 1,
    whenFeedBroken: "introspect",
    onEvent: (event) => void events.push(event),
    fetch(input, init) {
      if (!String(input).endsWith("/revocations")) return fetch(input, init);
      if (isCut) return Promise.reject(new Error("cut"));
      const signals = [cut.signal, ...(init?.signal ? [init.signal] : [])];
      return fetch(input, { ...init, signal: AbortSignal.any(signals) });
    },
  });
  stage.onClear(() => guard.close());
  await guard.ready();
  const [ended, kept] = [await keyturn.login("alice"), await keyturn.login("alice")];
  for (const { accessToken } of [ended, kept]) assert.equal(await outcomeOf(guard, accessToken), "good");
  isCut = true;
  cut.abort();
  await untilTrue(3, () => guard.feed().state === "broken", "the feed was not cut");
  await keyturn.call("/logout", { json: { refreshToken: ended.refreshToken } });
  assert.equal(await outcomeOf(guard, ended.accessToken, { whenFeedBroken: "accept" }), "good");
  assert.equal(await outcomeOf(guard, ended.accessToken, insist), 503);
  assert.equal(await outcomeOf(guard, ended.accessToken), 401, "introspect: refused at once");
  assert.equal(await outcomeOf(guard, kept.accessToken), "good", "introspect: goes on");
  isCut = false;
  cut = new AbortController();
  await untilTrue(12, () => guard.feed().state === "live", "the guard did not come back to the feed");
  await untilTrue(
    1,
    async () => (await outcomeOf(guard, ended.accessToken, { whenFeedBroken: "accept" })) === 401,
    "the guard does not know what ended meanwhile",
  );
  assert.ok(!events.some(({ type }) => type === "introspection_failed"));

  await keyturn.kill();
  await untilTrue(3, () => guard.feed().state === "broken", "the feed was not cut");
  await untilTrue(
    3,
    async () => (await outcomeOf(guard, kept.accessToken)) === 503,
    "introspect lets in whom nobody vouches for",
  );
  assert.ok(events.some(({ type }) => type === "introspection_failed"));
  await keyturn.restart();
});

test("tokens outlive a crash: the keys, the sessions and the refresh tokens are those of before", async () => {
  const before = await keyturn.login("alice");
  const turned = await keyturn.refresh(before.refreshToken);
  await keyturn.kill();
  await keyturn.restart();
  assert.equal((await keyturn.call("/me", { token: turned.json.accessToken })).status, 200);
  const replayed = await keyturn.refresh(before.refreshToken);
  assert.deepEqual([replayed.status, replayed.json.refreshToken], [200, turned.json.refreshToken]);
  assert.equal((await keyturn.refresh(turned.json.refreshToken)).status, 200);
});
