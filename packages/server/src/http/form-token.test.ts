import assert from "node:assert/strict";
import { createSecretKey, randomBytes } from "node:crypto";
import { test } from "node:test";
import { createFormTokens } from "./form-token.ts";

const key = createSecretKey(randomBytes(32));
const tokens = createFormTokens({ key, isSecure: true });
const session = { session: "01a2091b-7f0f-7d30-bc99-dae8c5045318" };
const browser = { browser: tokens.newNonce() };

test("a token is good for its owner for as often as it is sent, and no two are alike", () => {
  for (const owner of [session, browser]) {
    const [one, other] = [tokens.issue(owner), tokens.issue(owner)];
    assert.notEqual(one, other);
    for (const token of [one, other, one]) assert.ok(tokens.isGood(token, owner));
  }
});

test("a token is good for nobody else: another session, another browser, another server", () => {
  const token = tokens.issue(session);
  assert.ok(!tokens.isGood(token, { session: "01a2091b-7f0f-7d30-bc99-dae8c5045319" }));
  assert.ok(!tokens.isGood(token, browser));
  assert.ok(!tokens.isGood(tokens.issue(browser), { browser: tokens.newNonce() }));
  // The same text as a session and as a browser's nonce are two owners.
  assert.ok(!tokens.isGood(token, { browser: session.session }));
  const others = createFormTokens({ key: createSecretKey(randomBytes(32)), isSecure: true });
  assert.ok(!others.isGood(token, session));
});

test("a token that is changed in any bit, cut, lengthened or written otherwise is none", () => {
  const token = tokens.issue(session);
  const bytes = Buffer.from(token, "base64url");
  for (const changed of everyBitChanged(bytes)) assert.ok(!tokens.isGood(changed, session));
  for (const text of [
    "",
    token.slice(1),
    token.slice(0, -1),
    `${token}A`,
    `${token}=`,
    ` ${token}`,
    `${token}\0`,
  ]) {
    assert.ok(!tokens.isGood(text, session), JSON.stringify(text));
  }
});

test("a token of some browser is known as made here, for no session and not when it is changed", () => {
  const [token, other] = [tokens.issue(browser), tokens.issue({ browser: tokens.newNonce() })];
  assert.ok(tokens.isOfSomeBrowser(token) && tokens.isOfSomeBrowser(other));
  assert.ok(!tokens.isOfSomeBrowser(tokens.issue(session)));
  for (const changed of everyBitChanged(Buffer.from(token, "base64url"))) {
    assert.ok(!tokens.isOfSomeBrowser(changed));
  }
  for (const text of ["", token.slice(1), token.slice(0, 64), `${token}A`]) {
    assert.ok(!tokens.isOfSomeBrowser(text) && !tokens.isGood(text, browser));
  }
  const others = createFormTokens({ key: createSecretKey(randomBytes(32)), isSecure: true });
  assert.ok(!others.isOfSomeBrowser(token));
});

function* everyBitChanged(bytes: Buffer): Generator<string> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    yield changed.toString("base64url");
  }
}

test("RFC 6265bis §4.1.3.2: the nonce's cookie is __Host- on https, and a browser's session long", () => {
  const nonce = tokens.newNonce();
  assert.equal(
    tokens.setCookie(nonce),
    `__Host-keyturn-form=${nonce}; Path=/; HttpOnly; Secure; SameSite=Lax`,
  );
  assert.equal(tokens.nonceOf(`a=b; __Host-keyturn-form=${nonce}`), nonce);
  const plain = createFormTokens({ key, isSecure: false });
  assert.equal(plain.setCookie(nonce), `keyturn-form=${nonce}; Path=/; HttpOnly; SameSite=Lax`);
  assert.equal(plain.nonceOf(`keyturn-form=${nonce}`), nonce);
});

test("a cookie that holds no nonce of ours counts for none", () => {
  const nonce = tokens.newNonce();
  for (const text of [
    undefined,
    "",
    "keyturn-form=x",
    `__Host-keyturn-form=${nonce}x`,
    "__Host-keyturn-form=<b>",
  ]) {
    assert.equal(tokens.nonceOf(text), undefined);
  }
});
