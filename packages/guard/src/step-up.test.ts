import assert from "node:assert/strict";
import { test } from "node:test";
import type { RouteRequirement } from "./admission.ts";
import { createGuard } from "./guard.ts";
import { inProcess, mint, newKey, nowSeconds, reasonOf } from "./test-issuer.ts";

const key = newKey("k1");
const guard = createGuard(inProcess([key]));
const one = "urn:keyturn:1fa";
const two = "urn:keyturn:2fa";

function verify(claims: Record<string, unknown>, requirement: RouteRequirement) {
  const verification = guard.verify(mint(key, claims), requirement);
  assert.ok(!(verification instanceof Promise));
  return verification;
}

function refused(claims: Record<string, unknown>, requirement: RouteRequirement) {
  const verification = verify(claims, requirement);
  assert.ok(!verification.ok);
  const { status, error, reason, headers } = verification.refusal;
  return { status, error, reason, challenge: headers["WWW-Authenticate"] ?? "" };
}

test("RFC 9470 §3: a sign-in that is too weak is told with acr_values, the preferred first", () => {
  const acr = [two, "urn:example:smartcard"];
  for (const good of acr) assert.equal(reasonOf(verify({ acr: good }, { acr })), "ok");
  for (const weak of [one, undefined, 2, [two], ""]) {
    const { status, error, reason, challenge } = refused({ acr: weak }, { acr });
    assert.deepEqual([status, error], [401, "insufficient_user_authentication"]);
    assert.equal(reason, "authentication_too_weak");
    assert.match(challenge, /^Bearer error="insufficient_user_authentication", /);
    assert.ok(challenge.endsWith(`acr_values="${acr.join(" ")}"`), challenge);
    assert.doesNotMatch(challenge, /max_age/);
  }
});

test("RFC 9470 §3: acr_values and max_age stand together, so that one sign-in meets both", () => {
  const requirement = { acr: [two], maxAuthAgeSeconds: 300 };
  const lately = nowSeconds() - 10;
  assert.equal(reasonOf(verify({ acr: two, auth_time: lately }, requirement)), "ok");
  for (const claims of [
    { acr: one, auth_time: lately },
    { acr: two, auth_time: lately - 400 },
    { acr: two },
    {},
  ]) {
    const { challenge } = refused(claims, requirement);
    assert.match(challenge, /acr_values="urn:keyturn:2fa", max_age="300"$/);
  }
});

test('RFC 9470 §3: "if the request is also lacking the scopes", one challenge names these too', () => {
  const requirement = { scopes: ["photos:delete"], acr: [two] };
  const both = refused({ acr: one, scope: "photos:read" }, requirement);
  assert.equal(both.error, "insufficient_user_authentication");
  assert.match(both.challenge, /acr_values="urn:keyturn:2fa", scope="photos:delete"$/);
  const scopeOnly = refused({ acr: two, scope: "photos:read" }, requirement);
  assert.deepEqual([scopeOnly.status, scopeOnly.error], [403, "insufficient_scope"]);
  assert.doesNotMatch(scopeOnly.challenge, /acr_values/);
});

test("nobody is made to sign in again only to hear that a role or a permission is missing", () => {
  assert.equal(refused({ acr: one }, { acr: [two], roles: ["admin"] }).reason, "missing_role");
  assert.equal(refused({ acr: one }, { acr: [two], permissions: ["p"] }).reason, "missing_permission");
});

test("an acr that nobody can have, or an age that is no number, lets nobody in and says nothing odd", () => {
  assert.equal(refused({ acr: two }, { acr: [] }).reason, "authentication_too_weak");
  assert.doesNotMatch(refused({ acr: two }, { acr: [] }).challenge, /acr_values/);
  assert.doesNotMatch(refused({}, { acr: ['x"\r\nSet-Cookie: a=b'] }).challenge, /acr_values|\n/);
  for (const maxAuthAgeSeconds of [Number.NaN, Number.NEGATIVE_INFINITY, -1]) {
    const { reason, challenge } = refused({ auth_time: nowSeconds() }, { maxAuthAgeSeconds });
    assert.equal(reason, "authentication_too_old");
    assert.doesNotMatch(challenge, /max_age/);
  }
  // RFC 9470 §3: max_age "has to represent a non-negative integer".
  const old = { auth_time: nowSeconds() - 60 };
  assert.match(refused(old, { maxAuthAgeSeconds: 1.5 }).challenge, /max_age="1"$/);
});

test("a text in the place of a list lets nobody in, not even who has a part of it", () => {
  for (const acr of [two, "", "urn", undefined])
    assert.equal(refused({ acr }, { acr: two as never }).reason, "internal_error");
  const { headers } = guard.refuse("missing", { scopes: "photos:read" as never, acr: two as never });
  assert.equal(headers["WWW-Authenticate"], "Bearer");
});

test("a remembered token is asked again what each route wants", () => {
  const token = mint(key, { acr: one, auth_time: nowSeconds() });
  assert.equal(reasonOf(guard.verify(token, { acr: [one, two] }) as never), "ok");
  assert.equal(reasonOf(guard.verify(token, { acr: [two] }) as never), "authentication_too_weak");
  assert.equal(reasonOf(guard.verify(token, { maxAuthAgeSeconds: 60 }) as never), "ok");
});
