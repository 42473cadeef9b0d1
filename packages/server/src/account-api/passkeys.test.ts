import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { browserAt } from "../test-browser.ts";
import { assertRefusal, type Reply, startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { createTestAuthenticator } from "../users/factors/test-authenticator.ts";
import { type Asked, addPasskey, ownOf } from "../users/factors/test-factors.ts";
import type { User } from "../users/user.ts";

const PASSWORD = "correct horse battery";
const clock = stoppedClock();
let server: TestServer;
let count = 0;
let user: User;
before(async () => {
  server = await startTestServer({ clock });
});
after(() => server.close());
beforeEach(async () => {
  clock.pass(3600);
  user = await server.addUser(`alice${++count}`);
});

type Key = Awaited<ReturnType<typeof addPasskey>>;
type Answering = Parameters<Key["authenticator"]["get"]>[0];

async function challenge(call = server.call): Promise<string> {
  const { json } = await call("/passkeys/challenge", { method: "POST" });
  const { options } = json as unknown as {
    options: Asked & { userVerification: string; allowCredentials?: object[] };
  };
  assert.equal(options.userVerification, "required");
  assert.equal(options.allowCredentials, undefined, "any passkey of this server");
  return options.challenge;
}

const signIn = (passkey: object, more: object = {}): Promise<Reply> =>
  server.call("/login/passkey", { json: { passkey, ...more } });

async function answer({ authenticator, userHandle }: Key, more: Partial<Answering> = {}) {
  return authenticator.get({ challenge: await challenge(), ...(userHandle && { userHandle }), ...more });
}

function claims(token: unknown): Record<string, unknown> {
  return JSON.parse(Buffer.from(String(token).split(".")[1] ?? "", "base64url").toString());
}

const refusedAsPasskey = async (reply: Promise<Reply>) =>
  assertRefusal(await reply, { status: 401, error: "invalid_passkey" });

test("a passkey signs in without a name and a password, and counts as two factors", async () => {
  for (const [isSyncable, how] of [
    [false, "hwk"],
    [true, "swk"],
  ] as const) {
    const key = await addPasskey(server, user, { isSyncable });
    const reply = await signIn(await answer(key), { device: "my phone" });
    assert.equal(reply.status, 200, reply.text);
    assert.deepEqual((reply.json.user as { username: string }).username, user.username);
    const { acr, amr } = claims(reply.json.accessToken);
    assert.deepEqual([acr, amr], ["urn:keyturn:2fa", [how, "user", "mfa"]]);
    assert.equal(claims(reply.json.idToken).acr, "urn:keyturn:2fa");
    user = await server.addUser(`bob${++count}`);
  }
});

test("WebAuthn §6.4.1: the user handle is random, the same for all passkeys of a user, and not the user's id", async () => {
  const [one, other] = [await addPasskey(server, user), await addPasskey(server, user)];
  assert.equal(one.userHandle, other.userHandle);
  assert.equal(Buffer.from(one.userHandle ?? "", "base64url").length, 32);
  const theirs = await addPasskey(server, await server.addUser(`mallory${count}`));
  assert.notEqual(theirs.userHandle, one.userHandle);
});

test("an answer is good once: of 20 at once with one answer, one gets in", async () => {
  const key = await addPasskey(server, user);
  const passkey = await answer(key);
  const replies = await Promise.all(Array.from({ length: 20 }, () => signIn(passkey)));
  assert.equal(replies.filter(({ status }) => status === 200).length, 1);
  await refusedAsPasskey(signIn(passkey));
});

test("a challenge is good once, also for an authenticator that counts nothing", async () => {
  const key = await addPasskey(server, user);
  const passkey = await answer(key, { counter: 2 });
  const same = key.authenticator.get({ challenge: await challengeOf(passkey), counter: 3 });
  assert.equal((await signIn(passkey)).status, 200);
  await refusedAsPasskey(signIn(same));
});

async function challengeOf(passkey: { response: { clientDataJSON: string } }): Promise<string> {
  return JSON.parse(Buffer.from(passkey.response.clientDataJSON, "base64url").toString()).challenge;
}

test("WebAuthn §7.2: another origin, another site, no verification of the user, another ceremony: refused", async () => {
  const key = await addPasskey(server, user);
  const wrongs: Partial<Answering>[] = [
    { origin: "https://evil.example" },
    { origin: server.issuer.replace("http:", "https:") },
    { rpId: "evil.example" },
    { userVerified: false },
    { type: "webauthn.create" },
    { challenge: Buffer.alloc(54).toString("base64url") },
    { challenge: "" },
    { userHandle: Buffer.alloc(32).toString("base64url") },
  ];
  for (const wrong of wrongs) {
    const before = await server.rows();
    await refusedAsPasskey(signIn(await answer(key, wrong)));
    assert.equal(await server.rows(), before, JSON.stringify(wrong));
  }
  assert.equal((await signIn(await answer(key))).status, 200);
});

test("a challenge ends after five minutes, and was made by this server for this use", async () => {
  const key = await addPasskey(server, user);
  const passkey = await answer(key);
  clock.pass(299);
  assert.equal((await signIn(passkey)).status, 200);
  const late = await answer(key);
  clock.pass(300);
  await refusedAsPasskey(signIn(late));
  const own = await ownOf(server.app, user);
  const forRegistering = (await server.app.factors.managing.passkeyOptions(own)) as Asked;
  await refusedAsPasskey(signIn(await answer(key, { challenge: forRegistering.challenge })));
});

test("a challenge that one browser was given is of no use in another", async () => {
  const key = await addPasskey(server, user);
  const [one, other] = [browserAt(server), browserAt(server)];
  for (const browser of [one, other]) await browser.call("/sign-in", { headers: { accept: "text/html" } });
  const passkey = key.authenticator.get({ challenge: await challenge(one.call) });
  const send = (browser: typeof one) => browser.call("/login/passkey", { json: { passkey, mode: "cookie" } });
  await refusedAsPasskey(send(other));
  assert.equal((await send(one)).status, 200);
  assert.equal((await one.session()).status, 200);
});

test("a signature by another key, a credential that nobody has, and nonsense are refused alike", async () => {
  const key = await addPasskey(server, user);
  const stranger = createTestAuthenticator({ issuer: server.issuer });
  const passkey = await answer(key);
  const forged = stranger.get({ challenge: await challenge() });
  await refusedAsPasskey(signIn(forged));
  await refusedAsPasskey(signIn({ ...forged, id: passkey.id, rawId: passkey.id }));
  for (const member of ["clientDataJSON", "authenticatorData", "signature"] as const) {
    for (const value of ["", "x", "AAAA", "!!", Buffer.alloc(2000).toString("base64url")]) {
      await refusedAsPasskey(signIn({ ...passkey, response: { ...passkey.response, [member]: value } }));
    }
  }
  assertRefusal(await signIn({ id: "x" }), { status: 400, error: "invalid_request" });
});

test("WebAuthn §7.2 step 22: a counter that goes back is refused and written down: the key may have been copied", async () => {
  const key = await addPasskey(server, user);
  assert.equal((await signIn(await answer(key, { counter: 10 }))).status, 200);
  await refusedAsPasskey(signIn(await answer(key, { counter: 10 })));
  await refusedAsPasskey(signIn(await answer(key, { counter: 0 })));
  const events = await server.app.audit.list({ userId: user.id });
  const told = events.filter(({ type }) => type === "passkey.counter_went_back");
  assert.deepEqual(
    told.map(({ detail }) => [detail?.counter, detail?.before]),
    [
      [0, 10],
      [10, 10],
    ],
  );
  assert.equal((await signIn(await answer(key, { counter: 11 }))).status, 200);
});

test("a copied passkey and its original that come at the same moment with one count: one gets in", async () => {
  const key = await addPasskey(server, user);
  const answers: object[] = [];
  for (let index = 0; index < 10; index++) answers.push(await answer(key, { counter: 7 }));
  const replies = await Promise.all(answers.map((passkey) => signIn(passkey)));
  assert.equal(replies.filter(({ status }) => status === 200).length, 1);
});

test("nobody signs in by the passkey of a disabled or removed user, or by one that was removed", async () => {
  const by = { actor: "operator" } as const;
  const key = await addPasskey(server, user);
  await server.app.users.disable(user.id, by);
  await refusedAsPasskey(signIn(await answer(key)));
  await server.app.users.enable(user.id, by);
  assert.equal((await signIn(await answer(key))).status, 200);
  await server.app.factors.managing.removePasskeys(user.id, by);
  await refusedAsPasskey(signIn(await answer(key)));
});

test("registering: another origin, another site, no verification, another session's challenge, the same one twice: refused", async () => {
  const own = await ownOf(server.app, user);
  const other = await ownOf(server.app, user);
  const { managing } = server.app.factors;
  const asked = async (by = own) => ((await managing.passkeyOptions(by)) as Asked).challenge;
  const wrongs: Partial<Answering>[] = [
    { origin: "https://evil.example" },
    { rpId: "evil.example" },
    { userVerified: false },
    { type: "webauthn.get" },
    { challenge: await asked(other) },
    { challenge: await challenge() },
  ];
  for (const wrong of wrongs) {
    const key = createTestAuthenticator({ issuer: server.issuer });
    const response = key.create({ challenge: await asked(), ...wrong });
    assert.deepEqual(await managing.addPasskey(own, { response, name: "x" }), { outcome: "refused" });
  }
  for (const response of [null, {}, { id: "x" }, { id: 1, response: {} }, "x"]) {
    assert.deepEqual(await managing.addPasskey(own, { response, name: "x" }), { outcome: "refused" });
  }
  const key = createTestAuthenticator({ issuer: server.issuer });
  const response = key.create({ challenge: await asked() });
  const results = await Promise.all(
    Array.from({ length: 20 }, () => managing.addPasskey(own, { response, name: "x" })),
  );
  assert.equal(results.filter(({ outcome }) => outcome === "added").length, 1);
  // A challenge is good for one passkey, not for two.
  const text = await asked();
  const two = [1, 2].map(() =>
    createTestAuthenticator({ issuer: server.issuer }).create({ challenge: text }),
  );
  const [one, next] = [
    await managing.addPasskey(own, { response: two[0], name: "x" }),
    await managing.addPasskey(own, { response: two[1], name: "x" }),
  ];
  assert.deepEqual([one.outcome, next.outcome], ["added", "refused"]);
  // One credential is one user's, whoever else sends it.
  const thief = await ownOf(server.app, await server.addUser(`mallory${count}`));
  const again = key.create({ challenge: ((await managing.passkeyOptions(thief)) as Asked).challenge });
  assert.deepEqual(await managing.addPasskey(thief, { response: again, name: "x" }), { outcome: "refused" });
});

test("a passkey is a second factor too: of this user, for this sign-in", async () => {
  const key = await addPasskey(server, user);
  const theirs = await addPasskey(server, await server.addUser(`mallory${count}`));
  const begin = async () => {
    const { json } = await server.call("/login", { json: { username: user.username, password: PASSWORD } });
    const ticket = String(json.ticket);
    server.secrets.add(ticket);
    const asked = await server.call("/login/second-factor/challenge", { json: { ticket } });
    const { options } = asked.json as unknown as { options: Asked & { allowCredentials: { id: string }[] } };
    assert.deepEqual(
      options.allowCredentials.map(({ id }) => id),
      [key.authenticator.credentialId],
    );
    return { ticket, challenge: options.challenge, methods: json.methods };
  };
  const [one, other] = [await begin(), await begin()];
  assert.deepEqual(one.methods, ["passkey", "recovery_code"]);
  const finish = (ticket: string, passkey: object) =>
    server.call("/login/second-factor", { json: { ticket, passkey } });
  const wrong = { status: 401, error: "wrong_code" };
  assertRefusal(await finish(one.ticket, theirs.authenticator.get({ challenge: one.challenge })), wrong);
  assertRefusal(await finish(one.ticket, key.authenticator.get({ challenge: other.challenge })), wrong);
  const reply = await finish(one.ticket, key.authenticator.get({ challenge: one.challenge }));
  assert.equal(reply.status, 200, reply.text);
  assert.deepEqual(claims(reply.json.accessToken).amr, ["pwd", "hwk", "user", "mfa"]);
});

test("step-up by a passkey: of the session's own user and challenge", async () => {
  const key = await addPasskey(server, user);
  const { json } = await signIn(await answer(key));
  const token = String(json.accessToken);
  const asked = await server.call("/step-up/challenge", { method: "POST", token });
  const { challenge: text } = (asked.json as unknown as { options: Asked }).options;
  const passkey = key.authenticator.get({ challenge: text });
  clock.pass(60);
  const reply = await server.call("/step-up", { token, json: { passkey } });
  assert.equal(reply.status, 200, reply.text);
  assert.equal(claims(reply.json.accessToken).auth_time, Math.floor(clock.now() / 1000));
  assertRefusal(await server.call("/step-up", { token, json: { passkey } }), {
    status: 403,
    error: "wrong_proof",
  });
});
