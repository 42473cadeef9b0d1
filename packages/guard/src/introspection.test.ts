import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { test } from "node:test";
import type { GuardEvent } from "./events.ts";
import { createGuardWith } from "./guard.ts";
import type { GuardOptions } from "./options.ts";
import {
  audience,
  credentials,
  inProcess,
  json,
  mint,
  newKey,
  reasonOf,
  resource,
  startIssuer,
  type TestIssuer,
} from "./test-issuer.ts";

const key = newKey("k1");
const path = "/oauth/introspect";

/** An issuer whose feed is never there, and whose endpoint answers as the test says. */
async function scene(
  run: (scene: {
    issuer: TestIssuer;
    verify: (token: string, requirement?: object) => Promise<string>;
    token: (sid?: string) => string;
    events: GuardEvent[];
    /** What was asked, each as a form. */
    asked: URLSearchParams[];
    pass: (milliseconds: number) => void;
    answer: (
      how: (form: URLSearchParams, response: ServerResponse, request: IncomingMessage) => void,
    ) => void;
  }) => Promise<void>,
  options: Partial<GuardOptions> = {},
) {
  const issuer = await startIssuer([key]);
  const metadata = {
    issuer: issuer.url,
    jwks_uri: `${issuer.url}/jwks`,
    introspection_endpoint: `${issuer.url}${path}`,
  };
  issuer.routes.set("/.well-known/openid-configuration", json(metadata));
  const asked: URLSearchParams[] = [];
  let how: (form: URLSearchParams, response: ServerResponse, request: IncomingMessage) => void = says(true);
  issuer.routes.set(path, (request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      const form = new URLSearchParams(body);
      asked.push(form);
      how(form, response, request);
    });
  });
  const events: GuardEvent[] = [];
  let ahead = 0;
  const guard = createGuardWith(
    {
      issuer: issuer.url,
      audience,
      resource,
      whenFeedBroken: "introspect",
      now: () => Date.now() + ahead,
      onEvent: (event) => events.push(event),
      ...options,
    },
    {},
  );
  try {
    await run({
      issuer,
      events,
      asked,
      verify: async (token, requirement = {}) => reasonOf(await guard.verify(token, requirement)),
      token: (sid = "s1") => mint(key, { iss: issuer.url, sid }),
      pass: (milliseconds) => {
        ahead += milliseconds;
      },
      answer: (next) => {
        how = next;
      },
    });
  } finally {
    guard.close();
    await issuer.close();
  }
}

const says =
  (active: unknown, status = 200) =>
  (_form: URLSearchParams, response: ServerResponse) => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ active }));
  };

test("RFC 7662 §2.1: the issuer is asked by a form POST, with the resource's own credentials", () =>
  scene(async ({ verify, token, asked, answer }) => {
    const one = token();
    let authorization: string | undefined;
    answer((form, response, request) => {
      authorization = request.headers.authorization;
      assert.equal(request.method, "POST");
      says(true)(form, response);
    });
    assert.equal(await verify(one), "ok");
    assert.equal(authorization, credentials);
    assert.deepEqual(asked.map(Object.fromEntries), [{ token: one, token_type_hint: "access_token" }]);
  }));

test("a token that the issuer calls inactive is refused with 401, as one that was revoked", () =>
  scene(async ({ verify, token, answer, events }) => {
    answer(says(false));
    assert.equal(await verify(token()), "inactive");
    const refused = events.find(({ type }) => type === "refused");
    assert.equal(refused?.type === "refused" && refused.status, 401);
  }));

test("an answer is remembered for less than a second, a good one and a bad one", () =>
  scene(async ({ verify, token, asked, answer, pass }) => {
    const one = token();
    for (let use = 0; use < 3; use++) assert.equal(await verify(one), "ok");
    assert.equal(asked.length, 1);
    answer(says(false));
    pass(751);
    assert.equal(await verify(one), "inactive");
    assert.equal(await verify(one), "inactive");
    assert.equal(asked.length, 2);
  }));

test("many requests with one token at once are one question", () =>
  scene(async ({ verify, token, asked }) => {
    const one = token();
    const outcomes = await Promise.all(Array.from({ length: 50 }, () => verify(one)));
    assert.deepEqual([...new Set(outcomes)], ["ok"]);
    assert.equal(asked.length, 1);
  }));

test("at most 64 questions are under way: the others get 503 at once", () =>
  scene(async ({ verify, token, answer, asked }) => {
    const held: (() => void)[] = [];
    answer((form, response) => void held.push(() => says(true)(form, response)));
    // The address is learnt first.
    const outcomes = Array.from({ length: 80 }, (_, index) => verify(token(`s${index}`)));
    while (asked.length < 64) await new Promise((resolve) => setTimeout(resolve, 5));
    for (const release of held) release();
    const counts = Map.groupBy(await Promise.all(outcomes), (outcome) => outcome);
    assert.deepEqual([counts.get("ok")?.length, counts.get("feed_broken")?.length], [64, 16]);
  }));

for (const [what, how] of [
  ["an error", says(true, 500)],
  ["credentials that it does not know", says(undefined, 401)],
  ["an answer without `active`", says(undefined)],
  ["`active` that is no boolean", says("true")],
  ["no JSON", (_form: URLSearchParams, response: ServerResponse) => void response.end("<html>")],
  ["a closed connection", (_form: URLSearchParams, response: ServerResponse) => void response.destroy()],
] as const) {
  test(`${what} lets nobody in: 503, told to the log once, and nobody is asked for a second`, () =>
    scene(async ({ verify, token, answer, asked, events, pass }) => {
      answer(how);
      const one = token();
      assert.equal(await verify(one), "feed_broken");
      assert.equal(await verify(token("s2")), "feed_broken");
      assert.equal(asked.length, 1);
      pass(1001);
      assert.equal(await verify(one), "feed_broken");
      assert.equal(asked.length, 2);
      assert.equal(events.filter(({ type }) => type === "introspection_failed").length, 1);
      answer(says(true));
      pass(1001);
      assert.equal(await verify(one), "ok");
    }));
}

test("a question that the issuer cannot take is its own: nobody else is made to wait", () =>
  scene(async ({ verify, token, answer }) => {
    const one = token();
    answer((form, response) => says(true, form.get("token") === one ? 400 : 200)(form, response));
    assert.equal(await verify(one), "feed_broken");
    assert.equal(await verify(token("s2")), "ok");
  }));

test("an issuer that says nothing is waited for two seconds, not five", () =>
  scene(async ({ verify, token, answer }) => {
    answer(() => {});
    const started = performance.now();
    assert.equal(await verify(token()), "feed_broken");
    const took = performance.now() - started;
    assert.ok(took > 1900 && took < 4500, String(took));
  }));

test("nothing is asked about a token that is bad by itself, or lacks a right", () =>
  scene(async ({ issuer, verify, token, asked }) => {
    assert.equal(await verify(`${token()}x`), "malformed");
    assert.equal(await verify(mint(newKey("k1"), { iss: issuer.url })), "bad_signature");
    assert.equal(await verify(token(), { scopes: ["admin"] }), "missing_scope");
    assert.equal(asked.length, 0);
  }));

test("each route has its own policy", () =>
  scene(
    async ({ verify, token, answer, asked }) => {
      answer(says(false));
      const one = token();
      assert.equal(await verify(one), "ok");
      assert.equal(await verify(one, { whenFeedBroken: "refuse" }), "feed_broken");
      assert.equal(asked.length, 0);
      assert.equal(await verify(one, { whenFeedBroken: "introspect" }), "inactive");
    },
    { whenFeedBroken: "accept" },
  ));

test("no token and no credential is in what the log is told", () =>
  scene(async ({ verify, token, answer, events }) => {
    answer((_form, response) => void response.destroy());
    const one = token();
    await verify(one);
    const told = JSON.stringify(events);
    for (const secret of [one, resource.secret, credentials.slice(6)]) assert.ok(!told.includes(secret));
  }));

test("createGuard says what introspect needs; a route that asks for it of a guard without it refuses", () => {
  const wrong = { issuer: "https://login.example.com", audience, whenFeedBroken: "introspect" } as const;
  assert.throws(() => createGuardWith(wrong, {}), /needs? .*resource|give `resource`/);
  const guard = createGuardWith(inProcess([key]), {});
  assert.equal(reasonOf(guard.verify(mint(key), { whenFeedBroken: "introspect" }) as never), "feed_broken");
  guard.close();
});
