import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { type RouteRequirement, readAuthorization } from "./admission.ts";
import { allAlgorithms } from "./algorithms.ts";
import type { GuardEvent } from "./events.ts";
import { createGuard } from "./guard.ts";
import type { GuardOptions } from "./options.ts";
import { inProcess, mint, newKey, nowSeconds, reasonOf, segment } from "./test-issuer.ts";

const key = newKey("k1");

test("the package stands alone: it imports its own files only, and no module of Node's statically", () => {
  const folder = new URL(".", import.meta.url);
  const files = readdirSync(folder).filter((name) => /\.ts$/.test(name) && !/\.test\.ts$|^test-/.test(name));
  assert.ok(files.length > 20);
  for (const file of files) {
    const text = readFileSync(new URL(file, folder), "utf8");
    const imports = text.matchAll(
      /^(?:import|export)\s+(type\s)?[^;]*?from\s+"([^"]+)"|\bimport\(\s*"([^"]+)"|^import\s+"([^"]+)"/gm,
    );
    for (const [, typeOnly, from, dynamic, bare] of imports) {
      const target = from ?? dynamic ?? bare ?? "";
      const isFine = target.startsWith("./") || (typeOnly !== undefined && target.startsWith("node:"));
      assert.ok(isFine, `${file} imports ${target}`);
    }
  }
});

test("requirements: all scopes, any role, all permissions", () => {
  const guard = createGuard(inProcess([key]));
  const token = mint(key, { scope: "a b", roles: ["editor", 7], permissions: ["p", "q"] });
  const check = (requirement: RouteRequirement) => reasonOf(guard.verify(token, requirement) as never);
  assert.equal(check({ scopes: ["a", "b"], roles: ["admin", "editor"], permissions: ["q"] }), "ok");
  assert.equal(check({}), "ok");
  assert.equal(check({ scopes: ["a", "c"] }), "missing_scope");
  assert.equal(check({ roles: ["admin"] }), "missing_role");
  assert.equal(check({ roles: [] }), "missing_role");
  assert.equal(check({ permissions: ["p", "r"] }), "missing_permission");
  assert.equal(check({ whenFeedBroken: "nonsense" as never }), "feed_broken");
});

test("RFC 9470 §3: an old sign-in is told with max_age, so that the client can ask for a new one", () => {
  const guard = createGuard(inProcess([key]));
  const at = (auth_time: unknown) => guard.verify(mint(key, { auth_time }), { maxAuthAgeSeconds: 300 });
  assert.equal(reasonOf(at(nowSeconds() - 10) as never), "ok");
  for (const old of [nowSeconds() - 400, undefined, "now"]) {
    const verification = at(old);
    assert.ok(!(verification instanceof Promise) && !verification.ok);
    const { status, headers } = verification.refusal;
    assert.equal(status, 401);
    assert.match(
      headers["WWW-Authenticate"] ?? "",
      /error="insufficient_user_authentication".*max_age="300"/,
    );
  }
});

test("a scope that does not belong in a header stays out of it", () => {
  const guard = createGuard(inProcess([key]));
  const verification = guard.verify(mint(key), { scopes: ['x"\r\nSet-Cookie: a=b'] });
  assert.ok(!(verification instanceof Promise) && !verification.ok);
  assert.doesNotMatch(verification.refusal.headers["WWW-Authenticate"] ?? "", /scope=|\n/);
});

test("the identity is frozen all the way down, because the cache hands it to others", () => {
  const guard = createGuard(inProcess([key]));
  const token = mint(key, { roles: ["a"], deep: { list: [{ x: 1 }] } });
  const first = guard.verify(token);
  assert.ok(!(first instanceof Promise) && first.ok);
  const { identity } = first;
  const deep = identity.claims.deep as { list: { x: number }[] };
  for (const act of [
    () => Object.assign(identity, { subject: "mallory" }),
    () => (identity.roles as string[]).push("admin"),
    () => (identity.scopes as string[]).push("admin"),
    () => (identity.audience as string[]).push("x"),
    () => Object.assign(identity.claims, { sub: "mallory" }),
    () => Object.assign(deep.list[0] as object, { x: 2 }),
    () => Object.assign(first, { ok: false }),
  ]) {
    assert.throws(act, TypeError);
  }
  assert.equal(guard.verify(token), first, "the warm path hands out the same object");
});

test("the log gets the precise reason and the subject of a good token, never the token", () => {
  const events: GuardEvent[] = [];
  const guard = createGuard(inProcess([key], { onEvent: (event) => events.push(event) }));
  const tokens = [
    mint(key),
    mint(newKey("k1")),
    mint(key, { exp: 1 }),
    `${segment({ alg: "none" })}.e30.AA`,
    "x.y.z",
  ];
  for (const token of tokens) void guard.verify(token, { scopes: ["admin"] });
  const refused = events.filter((event) => event.type === "refused");
  const reasons = ["missing_scope", "bad_signature", "expired", "algorithm_not_allowed", "malformed"];
  assert.deepEqual(
    refused.map(({ reason }) => reason),
    reasons,
  );
  assert.deepEqual(
    refused.map(({ subject }) => subject),
    ["alice", undefined, undefined, undefined, undefined],
  );
  const log = JSON.stringify(events);
  for (const token of tokens)
    for (const part of token.split(".")) if (part.length > 3) assert.ok(!log.includes(part));
});

test("a listener that throws decides nothing", () => {
  const guard = createGuard(
    inProcess([key], {
      onEvent() {
        throw new Error("disk full");
      },
    }),
  );
  assert.equal(reasonOf(guard.verify("x") as never), "malformed");
  assert.equal(reasonOf(guard.verify(mint(key)) as never), "ok");
});

test("an option that is wrong stops createGuard with what it takes", () => {
  const wrong: [Partial<GuardOptions>, RegExp][] = [
    [{ issuer: "" }, /issuer takes the exact iss/],
    [{ issuer: "login.example.com" }, /issuer must be an absolute URL/],
    [{ issuer: "http://login.example.com" }, /issuer must be https/],
    [{ issuer: "https://login.example.com/?x=1" }, /no query/],
    [{ audience: [] }, /audience takes/],
    [{ audience: "" }, /audience takes/],
    [{ algorithms: ["HS256" as never] }, /algorithms takes .*got HS256/],
    [{ algorithms: ["none" as never, "ES256"] }, /got none/],
    [{ algorithms: [] }, /empty list/],
    [{ clockToleranceSeconds: 301 }, /clockToleranceSeconds takes a number from 0 to 300/],
    [{ clockToleranceSeconds: Number.NaN }, /clockToleranceSeconds/],
    [{ feedStaleAfterSeconds: 0 }, /more than 0/],
    [{ cacheTokensMax: -1 }, /cacheTokensMax/],
    [{ tokenType: "jwt" as never }, /"at\+jwt" or "any"/],
    [{ whenFeedBroken: "refuse" }, /needs a feed/],
    [{ jwksUri: "http://example.com/jwks" }, /jwksUri must be https/],
    [{ resource: { id: "x", secret: "" } }, /keyturn client add/],
    [{ dpop: "yes" as never }, /dpop takes "accept" or "require" or "off"/],
    [{ dpopAlgorithms: ["HS256" as never] }, /dpopAlgorithms takes .*got HS256/],
    [{ dpopReplayMax: -1 }, /dpopReplayMax/],
    [{ origin: "api.example.com" }, /origin takes what clients put in front/],
    [{ origin: "https://api.example.com/?a" }, /origin takes/],
    [{ origin: "https://a@api.example.com" }, /origin takes/],
    [{ origin: "ftp://api.example.com" }, /origin takes/],
  ];
  for (const [option, message] of wrong) {
    assert.throws(() => createGuard({ issuer: "https://a.example", audience: "b", ...option }), message);
  }
  assert.ok(allAlgorithms.every((name) => !/^HS|^none$/i.test(name)));
});

test("RFC 6750 §2.1: the header's grammar", () => {
  const kinds = [
    "Bearer a",
    "bEaReR   a.b-c_d~e+f/g=",
    "Bearer",
    "Bearer ",
    "Bearer a b",
    "Bearer\ta",
    "Bearera",
    "",
    "a",
  ].map((header) => readAuthorization(header).kind);
  assert.deepEqual(kinds, [
    "token",
    "token",
    "malformed",
    "malformed",
    "malformed",
    "none",
    "none",
    "none",
    "none",
  ]);
});
