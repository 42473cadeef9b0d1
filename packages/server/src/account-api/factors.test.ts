import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import sql from "sql-template-tag";
import { newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { browserAt } from "../test-browser.ts";
import { assertRefusal, type Call, startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { createTestAuthenticator } from "../users/factors/test-authenticator.ts";
import { type Asked, addPasskey, addTotp, codeAt } from "../users/factors/test-factors.ts";
import type { User } from "../users/user.ts";

const PASSWORD = "correct horse battery";
const clock = stoppedClock();
let server: TestServer;
let count = 0;
let user: User;
let token: string;

before(async () => {
  server = await startTestServer({ clock });
});
after(() => server.close());
beforeEach(async () => {
  clock.pass(86_400);
  user = await server.addUser(`manager${++count}`);
  token = (await server.login(user.username)).accessToken;
});

const call = (path: string, more: Call = {}) => server.call(path, { token, ...more });
const post = (path: string, json: object = {}) => call(path, { json });
const remove = (path: string) => call(path, { method: "DELETE" });
const events = async () => (await server.app.audit.list({ userId: user.id })).map(({ type }) => type);
const codesOf = ({ json }: Awaited<ReturnType<typeof call>>) => {
  const codes = (json.recoveryCodes ?? []) as string[];
  for (const code of codes) server.secrets.add(code);
  return codes;
};

/** Begins, and gives the code that the app shows. */
async function beginTotp() {
  const begun = await post("/factors/totp");
  assert.equal(begun.status, 200, begun.text);
  server.secrets.add(String(begun.json.secret));
  const { secret, uri } = begun.json;
  return { secret, uri, code: await codeAt(String(secret), clock.now()) };
}

/** Both factors are proven now. */
async function provenByTotp(totp: Awaited<ReturnType<typeof addTotp>>) {
  clock.pass(30);
  const code = await totp.code(30);
  const reply = await post("/step-up", { password: PASSWORD, code });
  assert.equal(reply.status, 200, reply.text);
  token = String(reply.json.accessToken);
}

async function provenByPasskey(authenticator: ReturnType<typeof createTestAuthenticator>) {
  const { json } = await post("/step-up/challenge");
  const passkey = authenticator.get({ challenge: (json.options as Asked).challenge });
  token = String((await post("/step-up", { passkey })).json.accessToken);
}

/** By what `acts` must leave as it was. */
async function refused(acts: readonly [string, Call][], expected: Parameters<typeof assertRefusal>[1]) {
  for (const [path, more] of acts) {
    const before = await events();
    assertRefusal(await call(path, more), expected);
    assert.deepEqual(await events(), before, path);
  }
}

/** As if the user had come by a provider. */
const deletePasswords = ({ id }: User) =>
  sql`DELETE FROM credentials WHERE user_id = ${Buffer.from(id.replaceAll("-", ""), "hex")}`;

/** Every act of this part of the API, as somebody would send it. */
const acts = (id: string = newId(0)): [string, Call][] => [
  ["/factors/totp", { json: {} }],
  ["/factors/totp/confirm", { json: { code: "000000" } }],
  ["/factors/totp", { method: "DELETE" }],
  ["/factors/challenge", { method: "POST" }],
  ["/factors/passkeys", { json: { passkey: someAnswer } }],
  [`/factors/passkeys/${id}`, { json: { name: "new" } }],
  [`/factors/passkeys/${id}`, { method: "DELETE" }],
  ["/factors/recovery-codes", { method: "POST" }],
  [`/identities/${id}`, { method: "DELETE" }],
  ["/password/first", { json: { password: "another horse battery" } }],
];
const someAnswer = {
  ...{ id: "AAAA", rawId: "AAAA", type: "public-key" },
  response: { clientDataJSON: "AAAA", attestationObject: "AAAA" },
};

test("nobody signed in changes nothing, and by a cookie only who comes from a page of ours", async () => {
  token = "";
  for (const [path, more] of acts()) {
    const reply = await server.call(path, more);
    assertRefusal(reply, { status: 401, error: "missing_token" });
  }
  const browser = browserAt(server);
  await browser.signIn(user.username);
  for (const [path, more] of acts()) {
    const reply = await browser.call(path, { ...more, headers: { "sec-fetch-site": "cross-site" } });
    assertRefusal(reply, { status: 403, error: "cross_site_request" });
  }
  assert.equal((await browser.call("/factors")).status, 200);
});

test("a proof that is too old, or of one factor of two, changes nothing", async () => {
  clock.pass(limits.recentProofMinutesMax * 60 + 1);
  token = String((await server.login(user.username)).accessToken);
  clock.pass(limits.recentProofMinutesMax * 60 - 300);
  const { refreshToken } = await server.login(user.username);
  clock.pass(limits.recentProofMinutesMax * 60 + 1);
  token = String((await server.call("/refresh", { json: { refreshToken } })).json.accessToken);
  await refused(acts(), { status: 403, error: "step_up_required" });
  token = (await server.login(user.username)).accessToken;
  assert.equal((await post("/factors/totp")).status, 200);
  // Now there are two factors, and this session has proven one.
  await addPasskey(server, user);
  await refused(acts(), { status: 403, error: "step_up_required" });
  assert.equal((await call("/factors")).status, 200);
});

describe("an authenticator app", () => {
  test("is begun, confirmed with recovery codes, listed and removed", async () => {
    const { uri, secret, code } = await beginTotp();
    assert.match(String(uri), /^otpauth:\/\/totp\//);
    assert.equal((await beginTotp()).secret, secret, "the same until it is confirmed");
    const added = await post("/factors/totp/confirm", { code });
    assert.equal(added.status, 201, added.text);
    assert.equal(codesOf(added).length, limits.recoveryCodes);
    assert.deepEqual((await call("/factors")).json, { passkeys: [], totp: true, recoveryCodes: 10 });
    clock.pass(30);
    const again = await codeAt(String(secret), clock.now());
    token = String((await post("/step-up", { password: PASSWORD, code: again })).json.accessToken);
    assertRefusal(await post("/factors/totp"), { status: 409, error: "factor_exists" });
    assert.equal((await remove("/factors/totp")).status, 204);
    assert.deepEqual((await call("/factors")).json, { passkeys: [], totp: false, recoveryCodes: 0 });
    assertRefusal(await remove("/factors/totp"), { status: 404, error: "unknown_factor" });
  });

  test("a wrong code adds nothing, and guessing is slowed down", async () => {
    const { code } = await beginTotp();
    const wrong = code === "000000" ? "000001" : "000000";
    const replies = [];
    for (let tries = 0; tries < 11; tries++)
      replies.push(await post("/factors/totp/confirm", { code: wrong }));
    assertRefusal(replies[0] as never, { status: 422, error: "factor_refused" });
    assertRefusal(replies.at(-1) as never, { status: 429, error: "too_many_attempts" });
    assert.ok(Number(replies.at(-1)?.headers.get("retry-after")) > 0);
    assert.equal((await call("/factors")).json.totp, false);
  });

  test("a code is of the session that was shown the secret: another session confirms nothing", async () => {
    const { code } = await beginTotp();
    token = (await server.login(user.username)).accessToken;
    assertRefusal(await post("/factors/totp/confirm", { code }), { status: 422, error: "factor_refused" });
  });
});

describe("passkeys", () => {
  const create = async (name?: string) => {
    const authenticator = createTestAuthenticator({ issuer: server.issuer });
    const { json } = await call("/factors/challenge", { method: "POST" });
    const passkey = authenticator.create({ challenge: (json.options as Asked).challenge });
    return { authenticator, passkey, reply: await post("/factors/passkeys", { passkey, name }) };
  };

  test("are added with a name, renamed and removed, and sign in", async () => {
    const { authenticator, reply } = await create("phone");
    assert.equal(reply.status, 201, reply.text);
    assert.equal(codesOf(reply).length, limits.recoveryCodes);
    await provenByPasskey(authenticator);
    const [listed] = (await call("/factors")).json.passkeys as { id: string; name: string }[];
    assert.equal(listed?.name, "phone");
    assert.equal((await post(`/factors/passkeys/${listed?.id}`, { name: "laptop" })).status, 204);
    const [renamed] = (await call("/factors")).json.passkeys as { id: string; name: string }[];
    assert.deepEqual([renamed?.id, renamed?.name], [listed?.id, "laptop"]);
    assert.equal((await remove(`/factors/passkeys/${listed?.id}`)).status, 204);
    assertRefusal(await remove(`/factors/passkeys/${listed?.id}`), { status: 404, error: "unknown_factor" });
    assert.deepEqual((await events()).slice(0, 2), ["passkey.removed", "passkey.renamed"]);
  });

  test("an answer that is used twice, or to a challenge of another session, adds nothing", async () => {
    const { authenticator, passkey } = await create();
    await provenByPasskey(authenticator);
    const again = await post("/factors/passkeys", { passkey });
    assertRefusal(again, { status: 422, error: "factor_refused" });
    const other = await addPasskey(server, await server.addUser(`other${count}`));
    const foreign = other.authenticator.create({ challenge: "AAAA" });
    assertRefusal(await post("/factors/passkeys", { passkey: foreign }), {
      status: 422,
      error: "factor_refused",
    });
    const broken = await post("/factors/passkeys", { passkey: { ...someAnswer, response: {} } });
    assertRefusal(broken, { status: 400, error: "invalid_request" });
  });

  test("somebody else's passkey is none of yours", async () => {
    const other = await server.addUser(`owner${count}`);
    await addPasskey(server, other);
    const [theirs] = (await server.app.factors.ownedBy(other.id)).passkeys;
    await refused(
      [
        [`/factors/passkeys/${theirs?.id}`, { json: { name: "mine" } }],
        [`/factors/passkeys/${theirs?.id}`, { method: "DELETE" }],
        ["/factors/passkeys/nonsense", { method: "DELETE" }],
      ],
      { status: 404, error: "unknown_factor" },
    );
  });

  test("the last way to sign in stays", async () => {
    const { authenticator } = await create();
    await provenByPasskey(authenticator);
    await server.place.database.batch([deletePasswords(user)]);
    const [only] = (await call("/factors")).json.passkeys as { id: string }[];
    assertRefusal(await remove(`/factors/passkeys/${only?.id}`), { status: 409, error: "last_way_in" });
    assert.equal((await call("/identities")).json.hasPassword, false);
    const first = { password: "another horse battery" };
    server.secrets.add(first.password);
    assertRefusal(await post("/password/first", { password: "short" }), {
      status: 422,
      error: "weak_password",
    });
    assert.equal((await post("/password/first", first)).status, 204);
    assertRefusal(await post("/password/first", first), { status: 409, error: "password_exists" });
    assert.equal((await remove(`/factors/passkeys/${only?.id}`)).status, 204);
  });
});

test("new recovery codes take the place of the old ones; without a factor there are none", async () => {
  assertRefusal(await call("/factors/recovery-codes", { method: "POST" }), {
    status: 404,
    error: "unknown_factor",
  });
  const totp = await addTotp(server, user);
  await provenByTotp(totp);
  const codes = codesOf(await call("/factors/recovery-codes", { method: "POST" }));
  assert.equal(codes.length, limits.recoveryCodes);
  const old = await post("/step-up", { password: PASSWORD, code: totp.recoveryCodes[0] });
  assertRefusal(old, { status: 403, error: "wrong_proof" });
  assert.equal((await post("/step-up", { password: PASSWORD, code: codes[0] })).status, 200);
});

test("identities are listed and disconnected, but not the last way in, and not another's", async () => {
  const google = { preset: "google", clientId: "x", secret: "a-secret-of-google" } as const;
  await server.app.providers.add(google, { actor: "operator" });
  const link = (subject: string, to: User) =>
    server.app.identities.link(
      to.id,
      { issuer: "https://accounts.google.com", subject, providerId: "google", label: "somebody" },
      { actor: "user" },
    );
  assert.deepEqual((await server.call("/providers")).json, {
    providers: [{ id: "google", label: "Google" }],
  });
  await link(`mine${count}`, user);
  const other = await server.addUser(`linked${count}`);
  await link(`theirs${count}`, other);
  const { identities, hasPassword } = (await call("/identities")).json as {
    identities: { id: string; provider: string; label: string }[];
    hasPassword: boolean;
  };
  const [mine] = identities;
  assert.deepEqual(
    [identities.length, mine?.provider, mine?.label, hasPassword],
    [1, "google", "somebody", true],
  );
  const [theirs] = await server.app.identities.list(other.id);
  for (const id of [theirs?.id, "nonsense"]) {
    assertRefusal(await remove(`/identities/${id}`), { status: 404, error: "unknown_identity" });
  }
  await server.place.database.batch([deletePasswords(user)]);
  assertRefusal(await remove(`/identities/${mine?.id}`), { status: 409, error: "last_way_in" });
  assert.equal((await post("/password/first", { password: PASSWORD })).status, 204);
  assert.equal((await remove(`/identities/${mine?.id}`)).status, 204);
  assert.deepEqual((await call("/identities")).json.identities, []);
  await server.app.providers.remove("google", { actor: "operator" });
});
