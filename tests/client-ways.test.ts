import assert from "node:assert/strict";
import { after, before, beforeEach, describe, type TestContext, test } from "node:test";
import { inspect } from "node:util";
import {
  type Client,
  type ClientOptions,
  createClient,
  KeyturnError,
  memoryStorage,
  type SecondStep,
} from "@keyturn/client";
import { startTestServer, stoppedClock, type TestServer } from "../packages/server/src/test-server.ts";
import { addPasskey, addTotp, codeAt } from "../packages/server/src/users/factors/test-factors.ts";
import type { User } from "../packages/server/src/users/user.ts";

/** The ways in that @keyturn/client knows besides a password, against a real server. */

const password = "correct horse battery";
// Proofs are dated by the real clock, until the server has told its own.
const clock = stoppedClock();
let server: TestServer;
let strict: TestServer;
let user: User;
let count = 0;

before(async () => {
  server = await startTestServer({ clock });
  strict = await startTestServer({ clock, settings: { secondFactor: "required" } });
});
after(async () => {
  await strict.close();
  await server.close();
});
beforeEach(async () => {
  clock.pass(86_400);
  user = await server.addUser(`way${++count}`);
});

/** A browser's cookies, and where it says that its requests come from. */
function withJar(at: TestServer): typeof fetch {
  const jar = new Map<string, string>();
  return async (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("sec-fetch-site", "same-origin");
    headers.set("cookie", [...jar].map(([name, value]) => `${name}=${value}`).join("; "));
    const response = await fetch(input, { ...init, headers });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      jar.set(name, value);
      at.secrets.add(value);
    }
    return response;
  };
}

function open(t: TestContext, options: Partial<ClientOptions> = {}, at = server) {
  const requests: { path: string; headers: Headers; body: string }[] = [];
  const replies: string[] = [];
  const send = options.mode === "cookie" ? withJar(at) : fetch;
  const client = createClient({
    issuer: at.url,
    storage: memoryStorage(),
    ...options,
    fetch: async (input, init) => {
      const url = new URL(String(input));
      requests.push({ path: url.pathname, headers: new Headers(init?.headers), body: String(init?.body) });
      const response = await send(input, init);
      replies.push(await response.clone().text());
      return response;
    },
  });
  t.after(() => client.close());
  return { client, requests, replies };
}

/** What a sign-in rejects with. */
async function refusedSignIn(client: Client, how: Parameters<Client["signIn"]>[0]): Promise<KeyturnError> {
  const error = await client.signIn(how).then(
    () => undefined,
    (reason) => reason,
  );
  assert.ok(error instanceof KeyturnError, "it was not refused");
  return error;
}

async function stepOf(client: Client): Promise<SecondStep> {
  const error = await refusedSignIn(client, { username: user.username, password });
  assert.equal(error.code, "second_factor_required");
  assert.ok(error.secondStep);
  return error.secondStep;
}

const whoAmI = async (client: Client) => {
  const response = await client.fetch(`${server.url}/me`);
  return response.ok ? ((await response.json()) as { username: string }).username : response.status;
};

const claims = async (client: Client) => {
  const [, payload = ""] = (await client.accessToken()).split(".");
  return JSON.parse(Buffer.from(payload, "base64url").toString());
};

for (const mode of ["token", "cookie"] as const) {
  describe(`${mode} mode`, () => {
    test("a sign-in that wants a second factor goes on by a code, and arrives like any other", async (t) => {
      const totp = await addTotp(server, user);
      clock.pass(30);
      const { client, requests } = open(t, { mode });
      const events: string[] = [];
      client.on("signedIn", ({ session }) => events.push(session.user.username));
      const step = await stepOf(client);
      assert.deepEqual([...step.methods], ["totp", "recovery_code"]);
      assert.equal(step.mustEnrol, false);
      assert.equal(await client.session(), undefined);
      assert.deepEqual(events, []);
      await assert.rejects(step.code("000000"), { code: "wrong_code" });
      const session = await step.code(await totp.code(30));
      assert.equal(session.user.username, user.username);
      assert.deepEqual(events, [user.username]);
      assert.equal(await whoAmI(client), user.username);
      const { amr, acr } = await claims(client);
      assert.deepEqual([amr, acr], [["pwd", "otp", "mfa"], "urn:keyturn:2fa"]);
      await assert.rejects(step.code(await totp.code(60)), { code: "invalid_ticket" });
      assert.equal((await client.session())?.sessionId, session.sessionId);
      const first = requests.find(({ path }) => path === "/login");
      assert.equal(first?.headers.has("dpop"), mode === "token");
    });

    test("a recovery code stands in, once", async (t) => {
      const { recoveryCodes } = await addTotp(server, user);
      const { client } = open(t, { mode });
      const session = await (await stepOf(client)).code(recoveryCodes[0] ?? "");
      assert.equal(session.user.username, user.username);
      const again = await stepOf(open(t, { mode }).client);
      await assert.rejects(again.code(recoveryCodes[0] ?? ""), { code: "wrong_code" });
    });

    test("who must have a second factor and has none sets an app up, signs in by it and gets recovery codes", async (t) => {
      await strict.addUser(user.username);
      const { client } = open(t, { mode }, strict);
      const error = await refusedSignIn(client, { username: user.username, password });
      assert.equal(error.code, "second_factor_enrolment_required");
      const step = error.secondStep;
      assert.ok(step?.mustEnrol);
      const { secret, uri } = await step.enrol();
      strict.secrets.add(secret);
      assert.match(uri, /^otpauth:/);
      assert.equal((await step.enrol()).secret, secret);
      const { session, recoveryCodes } = await step.confirm(await codeAt(secret, clock.now()));
      for (const code of recoveryCodes) strict.secrets.add(code);
      assert.equal(recoveryCodes.length, 10);
      assert.equal((await client.session())?.sessionId, session.sessionId);
    });

    test("a proof made again gives a token that says so, and the session goes on", async (t) => {
      const { client } = open(t, { mode });
      await client.signIn({ username: user.username, password });
      const before = await claims(client);
      clock.pass(120);
      await assert.rejects(client.proveAgain({ password: "not the password" }), { code: "wrong_proof" });
      assert.equal((await claims(client)).auth_time, before.auth_time);
      await client.proveAgain({ password });
      const after = await claims(client);
      assert.equal(after.auth_time, before.auth_time + 120);
      assert.equal(await whoAmI(client), user.username);
      assert.equal((await client.session())?.user.username, user.username);
      // Of an app under its own id, of a browser under a new one.
      assert.equal(after.sid === before.sid, mode === "token");
    });

    test("who is signed out proves nothing", async (t) => {
      const { client } = open(t, { mode });
      await assert.rejects(client.proveAgain({ password }), { code: "signed_out" });
      await assert.rejects(client.addSignIn({ passkey: {} }), { code: "signed_out" });
    });

    test("who has lost the passkey that was the only way in comes back by a recovery code", async (t) => {
      const withPassword = await addPasskey(server, user);
      for (const code of withPassword.recoveryCodes) server.secrets.add(code);
      const { client } = open(t, { mode });
      const [recoveryCode = ""] = withPassword.recoveryCodes;
      const refused = await refusedSignIn(client, { username: user.username, recoveryCode });
      assert.equal(refused.code, "recovery_refused");
      // Somebody who came by a provider that is gone.
      const key = { issuer: "https://gone.example", subject: `${mode}${count}` };
      const identity = { ...key, providerId: "gone", label: undefined };
      const newcomer = { wish: `gone${count}`, name: undefined, email: undefined, emailVerified: false };
      const signedUp = await server.app.identities.signUp({ identity, ...newcomer }, { actor: "user" });
      assert.ok(signedUp.outcome === "signed_up");
      const { recoveryCodes } = await addPasskey(server, signedUp.user);
      for (const code of recoveryCodes) server.secrets.add(code);
      const how = { username: signedUp.user.username, recoveryCode: recoveryCodes[0] ?? "" };
      assert.equal((await client.signIn(how)).user.username, how.username);
      assert.deepEqual((await claims(client)).amr, ["otp", "recovery"]);
    });

    test("providers are listed as on the sign-in page", async (t) => {
      const google = { preset: "google", clientId: "x", secret: "a-secret-of-google" } as const;
      await server.app.providers.add(google, { actor: "operator" });
      t.after(() => server.app.providers.remove("google", { actor: "operator" }));
      const { client } = open(t, { mode });
      assert.deepEqual(await client.providers(), [{ id: "google", label: "Google" }]);
    });
  });
}

test("no error, and nothing that a log writes of one, holds the ticket", async (t) => {
  await addTotp(server, user);
  const { client, replies } = open(t);
  const error = await refusedSignIn(client, { username: user.username, password });
  const ticket = String(JSON.parse(replies.at(-1) ?? "").ticket);
  assert.match(ticket, /^ktt_/);
  server.secrets.add(ticket);
  const { secondStep } = error;
  const written = [
    inspect(error, { depth: 9, showHidden: true }),
    JSON.stringify(error),
    String(error.stack),
  ];
  written.push(inspect(secondStep, { depth: 9, showHidden: true }), JSON.stringify(secondStep));
  const wrong = await secondStep
    ?.code("000000")
    .catch((reason) => inspect(reason, { depth: 9, showHidden: true }));
  for (const text of [...written, String(wrong)]) assert.ok(!text.includes(ticket), text.slice(0, 200));
  assert.equal(error.cause, undefined);
});

test("the ticket goes with the key of the first step: each step proves the same one", async (t) => {
  const totp = await addTotp(server, user);
  clock.pass(30);
  const { client, requests } = open(t);
  const step = await stepOf(client);
  // Another sign-in meanwhile makes a key of its own.
  await stepOf(client);
  await step.code(await totp.code(30));
  const keyOf = ({ headers }: (typeof requests)[number]) =>
    JSON.parse(Buffer.from(headers.get("dpop")?.split(".")[0] ?? "", "base64url").toString()).jwk.x;
  const firsts = new Set(requests.filter(({ path }) => path === "/login").map(keyOf));
  const seconds = new Set(requests.filter(({ path }) => path === "/login/second-factor").map(keyOf));
  assert.equal(firsts.size, 2);
  assert.equal(seconds.size, 1);
  assert.ok(firsts.has([...seconds][0]));
  assert.equal(await whoAmI(client), user.username);
});

test("where there is no browser, what takes one says so", async (t) => {
  const { client } = open(t);
  await assert.rejects(client.signIn({ passkey: true }), { code: "no_passkey" });
  await assert.rejects(client.signIn({ passkey: "conditional" }), { code: "no_passkey" });
  await assert.rejects(client.signIn({ provider: "google" }), { code: "not_supported" });
  await assert.rejects(client.finishSignIn(`${server.url}/?keyturn_code=x&keyturn_state=y`), {
    code: "invalid_handover",
  });
  assert.equal(await client.finishSignIn(`${server.url}/`), undefined);
});
