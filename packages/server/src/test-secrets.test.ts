import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { randomSecret } from "./primitives/random.ts";
import { secretIn, secretPrefixes } from "./test-secrets.ts";

test("every prefix of a secret in the sources is one that the scan of logs knows", () => {
  const found = new Set<string>();
  for (const file of fs.globSync("**/*.ts", { cwd: import.meta.dirname, exclude: ["**/*.test.ts"] })) {
    const text = fs.readFileSync(path.join(import.meta.dirname, file), "utf8");
    for (const [, prefix = ""] of text.matchAll(/["'`/^](k[a-z]{2}_)(?=["'`[])/g)) found.add(prefix);
  }
  assert.deepEqual([...found].sort(), Object.keys(secretPrefixes).sort());
});

test("each kind of secret is found in a line of a log, and not repeated", () => {
  const jwt = `${Buffer.from('{"alg":"ES256"}').toString("base64url")}.${"p".repeat(40)}.s`;
  const hidden = randomSecret("");
  const secrets = [
    ...Object.keys(secretPrefixes).map((prefix) => [prefix + hidden, hidden]),
    [jwt, jwt],
    [`Bearer ${hidden}`, hidden],
    [`Basic ${hidden}`, hidden],
    [`DPoP ${hidden}`, hidden],
    [`/callback?state=1&code=${hidden}`, hidden],
    [`code_verifier=x&code=1&password=${hidden}`, hidden],
    [`{"code":"${hidden}"}`, hidden],
    [`{"refreshToken":"${hidden}"}`, hidden],
    [`{"password":"${hidden}"}`, hidden],
    [`urn:ietf:params:oauth:request_uri:${hidden}`, hidden],
    [`{"kty":"EC","d":"${hidden}"}`, hidden],
    ["-----BEGIN PRIVATE KEY-----\nabc", "abc"],
    [`$argon2id$v=19$m=7168,t=1,p=1$${hidden}`, hidden],
    [`postgres://keyturn:${hidden}@127.0.0.1/keyturn`, hidden],
  ];
  for (const [text = "", secret = ""] of secrets) {
    const told = secretIn(`{"level":30,"time":1,"msg":"GET ${text} was answered"}`);
    assert.ok(told !== undefined, text.slice(0, 12));
    assert.ok(!told.includes(secret), told);
  }
});

test("what a log may say is no secret: ids, codes of errors, addresses without passwords, what was left out", () => {
  const lines = [
    '{"level":40,"code":"ECONNREFUSED","session":"0190a0b0-0000-7000-8000-000000000000"}',
    '{"error":"invalid_refresh_token","reason":"reused"}',
    '{"password":"[left out]","url":"postgres://keyturn@127.0.0.1:5432/keyturn"}',
    "GET /sign-in?return_to=/account answered 200; Bearer error=invalid_token",
  ];
  for (const line of lines) assert.equal(secretIn(line), undefined, line);
});
