import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { hmacSha256, sha256 } from "../primitives/digest.ts";
import { createRefreshTokens } from "../tokens/refresh-token.ts";
import { noneRecent } from "./recent.ts";
import { ATTEMPT_SECONDS, decideTurn, type TurnRules, type TurnState } from "./turn.ts";

/*
 * Generated histories of one session: a device with several tabs over one store, a network that loses requests and
 * replies, delivers them twice, late and out of order, a server that crashes before or after its commit, and a
 * thief who copies the store once. What must hold is stated at the end of each test. The number of histories in
 * the suite is small; KEYTURN_TEST_HISTORIES=200000 explores further.
 */
const HISTORIES = Number(process.env.KEYTURN_TEST_HISTORIES ?? 1500);
const SECOND = 1000;
const sessionId = Buffer.alloc(16, 9);
const keys = createRefreshTokens({
  currentId: 1,
  byId: new Map([[1, { chain: secretKey("c"), tag: secretKey("t") }]]),
});
const rules: TurnRules = {
  now: 0,
  graceSeconds: 30,
  // Idleness has tests of its own; here a device may sleep as long as the history likes.
  idleSeconds: 1e9,
  restoreWindowOpen: false,
  currentKeyId: 1,
  nextSecret: (from) => keys.nextSecret({ ...from, sessionId }),
};

function secretKey(text: string) {
  return createSecretKey(sha256(text));
}

interface Token {
  readonly generation: number;
  readonly secret: Buffer;
}
type Answer = { token: Token } | { refused: string };

function createServer() {
  const first: Token = { generation: 0, secret: sha256("first") };
  let state: TurnState = {
    clientId: "app",
    scope: "",
    resources: "",
    dpopThumbprint: undefined,
    revokedAt: undefined,
    endReason: undefined,
    expiresAt: Number.MAX_SAFE_INTEGER,
    lastUsedAt: 0,
    generation: 0,
    digest: sha256(first.secret),
    recent: noneRecent,
  };
  const successors = new Map<number, Set<string>>();
  return {
    first,
    successors,
    over: () => state.revokedAt !== undefined,
    /** A crash before the commit leaves no trace; one after it differs from a lost reply in nothing. */
    present(token: Token, attempt: Buffer | undefined, at: number, stays = false): Answer {
      const keptKeyId = stays ? rules.currentKeyId : undefined;
      const decision = decideTurn(
        state,
        { ...token, clientId: "app", dpopThumbprint: undefined, attempt, keptKeyId },
        { ...rules, now: at },
      );
      if (decision.act === "refuse") return { refused: decision.reason };
      if (decision.act === "end") {
        state = { ...state, revokedAt: at, endReason: decision.reason };
        return { refused: decision.reason };
      }
      if (decision.act === "turn" || decision.act === "keep") state = decision.next;
      const { generation, secret } = decision.successor;
      const known = successors.get(generation) ?? new Set();
      successors.set(generation, known.add(secret.toString("hex")));
      return { token: { generation, secret } };
    },
  };
}

/** What the network does with one request of a refresh. */
const delivery = fc.record({
  requestLost: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
  replyLost: fc.integer({ min: 0, max: 2 }).map((n) => n === 0),
  /** Another copy arrives this much later: a proxy that tries again, a tab that was frozen. */
  duplicateAfter: fc.option(fc.integer({ min: 0, max: 200 * SECOND }), { nil: undefined }),
  latency: fc.integer({ min: 0, max: 20 * SECOND }),
});
type Delivery = typeof delivery extends fc.Arbitrary<infer D> ? D : never;

/** Access tokens live for at least a minute, so an honest device starts no refresh sooner after a success. */
const round = fc.record({
  pause: fc.integer({ min: 60 * SECOND, max: 3 * 24 * 3600 * SECOND }),
  tabs: fc.array(delivery, { minLength: 1, maxLength: 4 }),
  retryAfter: fc.integer({ min: 1, max: 12 * 3600 * SECOND }),
  retries: fc.array(delivery, { maxLength: 3 }),
});

type Round = typeof round extends fc.Arbitrary<infer R> ? R : never;

interface Arrival {
  at: number;
  token: Token;
  /** Undefined: nobody reads the answer. */
  readAt: number | undefined;
}

interface Device {
  store: Token;
  refusals: string[];
  /** When a token first reached the server, by generation. */
  firstArrivals: Map<number, number>;
  /** It presented a token that the server had replaced a day before, every reply since being lost. */
  lostForADay: boolean;
}

function send(requests: readonly { at: number; by: Delivery }[], token: Token) {
  const arrivals: Arrival[] = [];
  for (const { at, by } of requests) {
    const arrived = at + by.latency;
    if (!by.requestLost)
      arrivals.push({ at: arrived, token, readAt: by.replyLost ? undefined : arrived + by.latency });
    if (by.duplicateAfter !== undefined)
      arrivals.push({ at: arrived + by.duplicateAfter, token, readAt: undefined });
  }
  return arrivals;
}

/** Lets everything up to `until` happen in the order of time, on the server and in the device's store. */
function settle(
  server: ReturnType<typeof createServer>,
  device: Device,
  pending: Arrival[],
  until: number,
): Arrival[] {
  const attempt = (token: Token) => hmacSha256(secretKey("device"), token.secret).subarray(0, 16);
  const due = pending.filter((arrival) => arrival.at <= until).sort((a, b) => a.at - b.at);
  const replies: { at: number; presented: Token; answer: Answer }[] = [];
  for (const { at, token, readAt } of due) {
    const first = device.firstArrivals.get(token.generation) ?? at;
    device.firstArrivals.set(token.generation, first);
    if (at - first >= ATTEMPT_SECONDS * SECOND) device.lostForADay = true;
    const answer = server.present(token, attempt(token), at);
    if ("refused" in answer && answer.refused !== "superseded") device.refusals.push(answer.refused);
    if (readAt !== undefined) replies.push({ at: readAt, presented: token, answer });
  }
  for (const { presented, answer } of replies.sort((a, b) => a.at - b.at)) {
    // The client writes only over the token that it presented (compare and set on its store).
    if ("token" in answer && device.store.generation === presented.generation) device.store = answer.token;
  }
  return pending.filter((arrival) => arrival.at > until);
}

function live(rounds: readonly Round[], onRound?: (context: RoundContext) => void) {
  const server = createServer();
  const device: Device = { store: server.first, refusals: [], firstArrivals: new Map(), lostForADay: false };
  let pending: Arrival[] = [];
  let now = 0;
  for (const [index, { pause, tabs, retryAfter, retries }] of rounds.entries()) {
    now += pause;
    pending = settle(server, device, pending, now);
    onRound?.({ server, device, now, index });
    pending.push(
      ...send(
        tabs.map((by) => ({ at: now, by })),
        device.store,
      ),
    );
    now += retryAfter + 41 * SECOND;
    pending = settle(server, device, pending, now);
    for (const by of retries) {
      // The store is read again before a retry.
      pending.push(...send([{ at: now, by }], device.store));
      now += 41 * SECOND;
      pending = settle(server, device, pending, now);
    }
  }
  settle(server, device, pending, Number.MAX_SAFE_INTEGER);
  return { server, device, now };
}
interface RoundContext {
  server: ReturnType<typeof createServer>;
  device: Device;
  now: number;
  index: number;
}

const rounds = fc.array(round, { minLength: 1, maxLength: 12 });

test("an honest device is never signed out, whatever the network loses, repeats, delays or reorders", () => {
  fc.assert(
    fc.property(rounds, (history) => {
      const { server, device, now } = live(history);
      assert.equal(server.over(), false);
      // A refresh lost in every reply for longer than a day is the one thing that no server can mend.
      assert.deepEqual(device.refusals, []);
      const first = device.firstArrivals.get(device.store.generation) ?? now;
      if (!device.lostForADay && now - first < 23 * 3600 * SECOND) {
        const attempt = hmacSha256(secretKey("device"), device.store.secret).subarray(0, 16);
        assert.ok("token" in server.present(device.store, attempt, now + 61 * SECOND), "still signed in");
      }
    }),
    { numRuns: HISTORIES },
  );
});

test("at most one successor of a generation exists, whatever happens", () => {
  fc.assert(
    fc.property(
      rounds,
      fc.nat(11),
      fc.array(fc.integer({ min: 0, max: 3600 * SECOND }), { maxLength: 5 }),
      (history, at, uses) => {
        const { server } = live(history, ({ server: target, device, now, index }) => {
          if (index === at) for (const after of uses) target.present(device.store, undefined, now + after);
        });
        for (const [, secrets] of server.successors) assert.equal(secrets.size, 1);
      },
    ),
    { numRuns: HISTORIES },
  );
});

test("a client that is switched between tokens that turn and tokens that stay is never signed out, and has one successor", () => {
  const step = fc.record({
    stays: fc.boolean(),
    after: fc.integer({ min: 0, max: 30 * SECOND }),
    isLost: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 20 }), (steps) => {
      const server = createServer();
      let token = server.first;
      let now = 0;
      for (const { stays, after, isLost } of steps) {
        now += after;
        const answer = server.present(token, undefined, now, stays);
        assert.ok("token" in answer, JSON.stringify(answer));
        // What is lost is asked for again at once, the other way.
        const again = server.present(token, undefined, now + 1, !stays);
        assert.ok("token" in again, JSON.stringify(again));
        token = isLost || again.token.generation > answer.token.generation ? again.token : answer.token;
        now += 1;
      }
      for (const [, secrets] of server.successors) assert.equal(secrets.size, 1);
    }),
    { numRuns: HISTORIES },
  );
});

const thief = fc.record({
  steals: fc.nat(5),
  /** Turns of the thief, each this long after the one before. */
  uses: fc.array(fc.integer({ min: 1 * SECOND, max: 6 * 3600 * SECOND }), { minLength: 1, maxLength: 6 }),
});

test("a thief who turned first is found when the owner comes back after the grace, and the session ends", () => {
  fc.assert(
    fc.property(
      thief,
      fc.integer({ min: 31 * SECOND, max: 13 * 24 * 3600 * SECOND }),
      ({ uses }, comesBack) => {
        const server = createServer();
        const owner = server.first;
        let copy = owner;
        let now = 1000;
        const firstUse = now;
        for (const after of uses) {
          const answer = server.present(copy, undefined, now);
          assert.ok("token" in answer);
          copy = answer.token;
          now += after;
        }
        const answer = server.present(
          owner,
          hmacSha256(secretKey("device"), owner.secret).subarray(0, 16),
          Math.max(now, firstUse) + comesBack,
        );
        assert.deepEqual(answer, { refused: "reused" });
        assert.deepEqual(server.present(copy, undefined, now + comesBack + 1), { refused: "reused" });
      },
    ),
    { numRuns: HISTORIES },
  );
});

test("a thief who uses a stolen token after the owner has turned it, outside the grace, ends the session", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 31 * SECOND, max: 13 * 24 * 3600 * SECOND }),
      fc.boolean(),
      (turns, after, withAttempt) => {
        const server = createServer();
        const stolen = server.first;
        let token = stolen;
        let now = 0;
        for (let turn = 0; turn < turns; turn++) {
          now += 60 * SECOND;
          const answer = server.present(
            token,
            hmacSha256(secretKey("device"), token.secret).subarray(0, 16),
            now,
          );
          assert.ok("token" in answer);
          token = answer.token;
        }
        // The thief cannot make the attempt key of the device, but may make one up.
        const attempt = withAttempt
          ? hmacSha256(secretKey("thief"), stolen.secret).subarray(0, 16)
          : undefined;
        assert.deepEqual(server.present(stolen, attempt, now + after), { refused: "reused" });
        assert.equal(server.over(), true);
      },
    ),
    { numRuns: HISTORIES },
  );
});
