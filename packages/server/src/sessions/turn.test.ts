import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { describe, test } from "node:test";
import { hmacSha256, sha256 } from "../primitives/digest.ts";
import { createRefreshTokens } from "../tokens/refresh-token.ts";
import { listRecent, noneRecent } from "./recent.ts";
import { ATTEMPT_SECONDS, decideTurn, type Presented, type TurnRules, type TurnState } from "./turn.ts";

const HOUR = 3_600_000;
const START = 1_790_000_000_000;
const sessionId = Buffer.alloc(16, 7);

const keys = createRefreshTokens({
  currentId: 1,
  byId: new Map([1, 2].map((id) => [id, { chain: key(`chain ${id}`), tag: key(`tag ${id}`) }])),
});

function key(text: string) {
  return createSecretKey(sha256(text));
}

const rules: TurnRules = {
  now: START,
  graceSeconds: 30,
  idleSeconds: 14 * 24 * 3600,
  restoreWindowOpen: false,
  currentKeyId: 1,
  nextSecret: (from) => keys.nextSecret({ ...from, sessionId }),
};

const at = (now: number, base: TurnRules = rules): TurnRules => ({ ...base, now });

const attemptOf = (device: string, secret: Buffer) => hmacSha256(key(device), secret).subarray(0, 16);

/** A session that has turned `turns` times, a minute apart, the last time at START, by a device with attempt keys. */
function turned(turns: number, withAttempts = true) {
  const secrets = [sha256("first")];
  let state: TurnState = {
    clientId: "app",
    scope: "",
    resources: "",
    dpopThumbprint: undefined,
    revokedAt: undefined,
    endReason: undefined,
    expiresAt: START + 180 * 24 * HOUR,
    lastUsedAt: START - turns * 60_000,
    generation: 0,
    digest: sha256(secrets[0] as Buffer),
    recent: noneRecent,
  };
  for (let generation = 0; generation < turns; generation++) {
    const decision = decideTurn(
      state,
      token(generation),
      at(START - (turns - 1 - generation) * 60_000, rules),
    );
    assert.equal(decision.act, "turn");
    if (decision.act !== "turn") continue;
    secrets.push(decision.successor.secret);
    state = decision.next;
  }
  function token(generation: number, change: Partial<Presented> = {}): Presented {
    const secret = secrets[generation] ?? sha256(`made up ${generation}`);
    const attempt = withAttempts ? attemptOf("owner", secret) : undefined;
    return { generation, secret, clientId: "app", dpopThumbprint: undefined, attempt, ...change };
  }
  return { state, secrets, token };
}

describe("rule 1: another client or another key", () => {
  test("RFC 6749 §6: refuses a refresh token issued to another client, and ends nothing", () => {
    const { state, token } = turned(6);
    for (const generation of [0, 3, 5, 6, 7]) {
      assert.deepEqual(decideTurn(state, token(generation, { clientId: "other" }), at(START, rules)), {
        act: "refuse",
        reason: "wrong_client",
      });
    }
  });

  test("RFC 9449 §5: refuses a bound token without its key or with another, and ends nothing", () => {
    const { state, token } = turned(6);
    const bound = { ...state, dpopThumbprint: "thumb" };
    for (const generation of [0, 5, 6]) {
      for (const [row, dpopThumbprint] of [
        [bound, undefined],
        [bound, "other"],
      ] as const) {
        const decision = decideTurn(row, token(generation, { dpopThumbprint }), at(START, rules));
        assert.deepEqual(decision, { act: "refuse", reason: "wrong_key" });
      }
    }
    assert.equal(decideTurn(bound, token(6, { dpopThumbprint: "thumb" }), at(START, rules)).act, "turn");
  });

  test("a session that is bound to no key turns with a proof as without one", () => {
    const { state, token } = turned(6);
    assert.equal(decideTurn(state, token(6, { dpopThumbprint: "thumb" }), at(START, rules)).act, "turn");
  });
});

describe("rule 1: a client that was changed", () => {
  test("refuses who was authenticated by what the client was before, or by one that is gone, and ends nothing", () => {
    const { state, token } = turned(6);
    for (const clientVersion of [undefined, 8]) {
      for (const generation of [0, 5, 6]) {
        const presented = token(generation, { clientVersion: 7 });
        const decision = decideTurn({ ...state, clientVersion }, presented, at(START + HOUR, rules));
        assert.deepEqual(decision, { act: "refuse", reason: "client_changed" });
      }
    }
    const same = decideTurn({ ...state, clientVersion: 7 }, token(6, { clientVersion: 7 }), rules);
    assert.equal(same.act, "turn");
    assert.equal(decideTurn({ ...state, clientVersion: 7 }, token(6), rules).act, "turn", "nobody asks");
  });
});

describe("less than what was granted", () => {
  const granted = { scope: "openid read", resources: "https://a.example https://b.example" };

  test("RFC 6749 §6, RFC 8707 §2.2: more than was granted refuses what would have turned or been answered again", () => {
    const { state, token } = turned(6);
    const cases = [
      [{ scope: "write" }, "scope_not_granted"],
      [{ scope: "read write" }, "scope_not_granted"],
      [{ scope: "" }, "scope_not_granted"],
      [{ resources: "https://c.example" }, "resource_not_granted"],
      [{ scope: "read", resources: "https://a.example/" }, "resource_not_granted"],
    ] as const;
    for (const [asked, reason] of cases) {
      for (const generation of [5, 6]) {
        const decision = decideTurn({ ...state, ...granted }, token(generation, { asked }), rules);
        assert.deepEqual(decision, { act: "refuse", reason });
      }
    }
  });

  test("less, or all of it in another order, changes nothing of what is decided", () => {
    const { state, token } = turned(6);
    const row = { ...state, ...granted };
    for (const asked of [
      { scope: "read" },
      { scope: "read openid" },
      { resources: "https://b.example" },
      {},
    ]) {
      assert.deepEqual(decideTurn(row, token(6, { asked }), rules), decideTurn(row, token(6), rules));
      assert.deepEqual(decideTurn(row, token(5, { asked }), rules), decideTurn(row, token(5), rules));
    }
  });

  test("an old token shows the theft, whatever it asks for", () => {
    const { state, token } = turned(6);
    const presented = token(2, { asked: { scope: "write" }, attempt: undefined });
    assert.equal(decideTurn({ ...state, ...granted }, presented, at(START + HOUR, rules)).act, "end");
  });
});

describe("a token that stays", () => {
  test("FAPI 2.0 §5.3.2.1: the current token is handed out again, and its use noted to the minute", () => {
    const { state, token, secrets } = turned(6);
    const successor = { keyId: 1, generation: 6, secret: secrets[6] };
    const soon = decideTurn(state, token(6, { keptKeyId: 1 }), at(START + 59_999, rules));
    assert.deepEqual(soon, { act: "keep", successor, next: state });
    const later = decideTurn(state, token(6, { keptKeyId: 1 }), at(START + 60_000, rules));
    const next = { ...state, lastUsedAt: START + 60_000 };
    assert.deepEqual(later, { act: "keep", successor, next });
    const before = decideTurn(state, token(6, { keptKeyId: 1 }), at(START - HOUR, rules));
    assert.deepEqual(
      before,
      { act: "keep", successor, next: state },
      "a clock that was set back takes nothing",
    );
  });

  test("one that was made under a master secret that is being replaced turns", () => {
    const { state, token } = turned(6);
    assert.equal(decideTurn(state, token(6, { keptKeyId: 2 }), rules).act, "turn");
  });

  test("every other rule is as ever: another client, a session that is over, a made-up secret, an old token", () => {
    const { state, token } = turned(6);
    const kept = { keptKeyId: 1 };
    const late = at(START + HOUR, rules);
    const acts = [
      decideTurn(state, token(6, { ...kept, clientId: "other" }), late),
      decideTurn({ ...state, revokedAt: START }, token(6, kept), late),
      decideTurn({ ...state, expiresAt: START }, token(6, kept), late),
      decideTurn(state, token(6, { ...kept, secret: sha256("made up") }), late),
      decideTurn(state, token(2, { ...kept, attempt: undefined }), late),
      decideTurn(state, token(5, kept), rules),
    ].map(({ act }) => act);
    assert.deepEqual(acts, ["refuse", "refuse", "refuse", "refuse", "end", "replay"]);
  });
});

describe("rule 2: a session that is over", () => {
  test("refuses every generation with the reason, and writes nothing", () => {
    const { state, token } = turned(6);
    const cases = [
      [{ revokedAt: START - 1, endReason: "signed_out" }, START, "revoked"],
      [{ revokedAt: START - 1, endReason: "reused" }, START, "reused"],
      [{ expiresAt: START }, START, "expired"],
      [{ expiresAt: START - 1 }, START, "expired"],
      [{}, START + rules.idleSeconds * 1000 + 1, "idle"],
    ] as const;
    for (const [change, time, reason] of cases) {
      for (const generation of [0, 3, 5, 6, 7]) {
        const decision = decideTurn({ ...state, ...change }, token(generation), at(time, rules));
        assert.deepEqual(decision, { act: "refuse", reason });
      }
    }
  });

  test("at the last moment of idleness and of the absolute end it still turns", () => {
    const { state, token } = turned(6);
    assert.equal(decideTurn(state, token(6), at(START + rules.idleSeconds * 1000, rules)).act, "turn");
    assert.equal(decideTurn({ ...state, expiresAt: START + 1 }, token(6), at(START, rules)).act, "turn");
  });

  test("the absolute end is never moved by a turn", () => {
    const { state, token } = turned(6);
    const decision = decideTurn(state, token(6), at(START + HOUR, rules));
    assert.equal(decision.act === "turn" && decision.next.expiresAt, state.expiresAt);
  });

  test("there is no such session: unknown", () => {
    const { token } = turned(1);
    assert.deepEqual(decideTurn(undefined, token(1), at(START, rules)), {
      act: "refuse",
      reason: "unknown_session",
    });
  });
});

describe("rule 3: the current token", () => {
  test("turns: the next generation, a derived secret, the digest of it alone, four supersessions at most", () => {
    const { state, token, secrets } = turned(6);
    const decision = decideTurn(state, token(6), at(START + HOUR, rules));
    assert.ok(decision.act === "turn");
    const expected = keys.nextSecret({ keyId: 1, sessionId, generation: 6, secret: secrets[6] as Buffer });
    assert.deepEqual(decision.successor, { keyId: 1, generation: 7, secret: expected });
    assert.deepEqual(decision.next.digest, sha256(expected as Buffer));
    assert.deepEqual(
      listRecent(decision.next.recent).map((entry) => entry.generation),
      [6, 5, 4, 3],
    );
    assert.equal(listRecent(decision.next.recent)[0]?.supersededAt, START + HOUR);
    assert.equal(decision.next.lastUsedAt, START + HOUR);
  });

  test("a clock that was set back does not move the last use back", () => {
    const { state, token } = turned(2);
    const decision = decideTurn(state, token(2), at(START - HOUR, rules));
    assert.equal(decision.act === "turn" && decision.next.lastUsedAt, state.lastUsedAt);
  });

  test("a secret that the row does not know is refused and ends nothing, tag or no tag", () => {
    const { state, token } = turned(2);
    const decision = decideTurn(state, token(2, { secret: sha256("forged") }), at(START, rules));
    assert.deepEqual(decision, { act: "refuse", reason: "unknown_secret" });
  });
});

describe("rules 4 and 5: a token that was replaced", () => {
  test("every combination of age, distance and attempt key is answered as the design says", () => {
    const { state, token } = turned(6);
    const graceMs = rules.graceSeconds * 1000;
    let seen = 0;
    for (const generation of [0, 1, 2, 3, 4, 5]) {
      const remembered = generation >= 2;
      const supersededAt = START - (5 - generation) * 60_000;
      for (const age of [
        -HOUR,
        0,
        graceMs,
        graceMs + 1,
        HOUR,
        ATTEMPT_SECONDS * 1000 - 1,
        ATTEMPT_SECONDS * 1000,
      ]) {
        for (const attempt of ["same", "other", "none"] as const) {
          const presented = token(generation);
          const change = {
            same: {},
            other: { attempt: attemptOf("thief", presented.secret) },
            none: { attempt: undefined },
          }[attempt];
          const decision = decideTurn(state, { ...presented, ...change }, at(supersededAt + age, rules));
          const expected = !remembered
            ? "end"
            : age <= graceMs
              ? "replay"
              : attempt !== "same"
                ? "end"
                : generation === 5 && age < ATTEMPT_SECONDS * 1000
                  ? "replay"
                  : "refuse";
          assert.equal(decision.act, expected, `generation ${generation}, age ${age}, attempt ${attempt}`);
          if (decision.act === "refuse") assert.equal(decision.reason, "superseded");
          if (decision.act === "end") assert.equal(decision.reason, "reused");
          seen++;
        }
      }
    }
    assert.equal(seen, 6 * 7 * 3);
  });

  test("a replay hands out the current successor, derived again from any remembered ancestor", () => {
    const { state, token, secrets } = turned(6);
    for (const generation of [2, 3, 4, 5]) {
      const decision = decideTurn(state, token(generation), at(START - (5 - generation) * 60_000, rules));
      assert.deepEqual(decision, {
        act: "replay",
        successor: { keyId: 1, generation: 6, secret: secrets[6] },
      });
    }
  });

  test("a grace of 0 seconds forgives the same millisecond and no more", () => {
    const { state, token } = turned(2, false);
    const strict = { ...rules, graceSeconds: 0 };
    assert.equal(decideTurn(state, token(1), at(START, strict)).act, "replay");
    assert.equal(decideTurn(state, token(1), at(START + 1, strict)).act, "end");
  });

  test("a supersession without an attempt key is never matched by a request without one", () => {
    const { state, token } = turned(2, false);
    assert.equal(decideTurn(state, token(1), at(START + HOUR, rules)).act, "end");
  });

  test("a remembered generation with a secret that does not lead to the current one ends the session", () => {
    const { state, token } = turned(6);
    const decision = decideTurn(state, token(5, { secret: sha256("forged") }), at(START, rules));
    assert.deepEqual(decision, { act: "end", reason: "reused" });
  });

  test("turns made under different master secrets still lead forward", () => {
    const { state, token } = turned(2);
    const after = decideTurn(state, token(2), at(START, { ...rules, currentKeyId: 2 }));
    assert.ok(after.act === "turn" && after.successor.keyId === 2);
    const replay = decideTurn(after.next, token(1), at(START, rules));
    assert.deepEqual(replay, { act: "replay", successor: after.successor });
  });

  test("when the key of a step is gone, nothing is handed out and nobody is signed out", () => {
    const { state, token } = turned(2);
    const without = { ...rules, nextSecret: () => undefined };
    assert.deepEqual(decideTurn(state, token(1), at(START, without)), {
      act: "refuse",
      reason: "unknown_secret",
    });
  });
});

describe("rule 6: a token newer than the row", () => {
  test("is refused and ends nothing", () => {
    const { state, token } = turned(2);
    assert.deepEqual(decideTurn(state, token(9), at(START, rules)), {
      act: "refuse",
      reason: "newer_generation",
    });
  });

  test("is adopted in a restore window, and turns from there", () => {
    const { state, token } = turned(2);
    const decision = decideTurn(state, token(9), at(START, { ...rules, restoreWindowOpen: true }));
    assert.ok(decision.act === "turn" && decision.adopted);
    assert.equal(decision.successor.generation, 10);
    assert.deepEqual(
      listRecent(decision.next.recent).map((entry) => entry.generation),
      [9],
    );
  });

  test("a late copy of an older request signs nobody out after it, in the window and when that is closed", () => {
    const { state, token } = turned(2);
    const open = { ...rules, restoreWindowOpen: true };
    const adopted = decideTurn(state, token(9), at(START, open));
    assert.ok(adopted.act === "turn");
    // The other tab still has the token before; and a thief has an old one.
    for (const rule of [open, rules]) {
      for (const generation of [8, 2, 1, 0]) {
        assert.deepEqual(decideTurn(adopted.next, token(generation), at(START + HOUR, rule)), {
          act: "refuse",
          reason: "superseded",
        });
      }
    }
    // The one that was adopted is remembered, and is judged as any.
    assert.equal(decideTurn(adopted.next, token(9), at(START + 1000, rules)).act, "replay");
    const stolen = { ...token(9), attempt: undefined };
    assert.deepEqual(decideTurn(adopted.next, stolen, at(START + HOUR, rules)), {
      act: "end",
      reason: "reused",
    });
  });

  test("after four more turns an old token shows a theft again", () => {
    const { state, token } = turned(2);
    const first = decideTurn(state, token(9), at(START, { ...rules, restoreWindowOpen: true }));
    assert.ok(first.act === "turn");
    let { next, successor } = first;
    for (let turns = 0; turns < 3; turns++) {
      assert.equal(decideTurn(next, token(8), at(START + HOUR, rules)).act, "refuse");
      const presented = { ...token(0), generation: successor.generation, secret: successor.secret };
      const decision = decideTurn(next, presented, at(START, rules));
      assert.ok(decision.act === "turn");
      ({ next, successor } = decision);
    }
    assert.deepEqual(decideTurn(next, token(8), at(START + HOUR, rules)), { act: "end", reason: "reused" });
  });
});
