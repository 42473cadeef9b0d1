import assert from "node:assert/strict";
import { test } from "node:test";
import { refreshing, replyIn } from "./load.ts";

const head = "HTTP/1.1 200 OK\r\n";

test("a reply with a length is whole when its body is", () => {
  const whole = `${head}Content-Length: 2\r\n\r\n{}`;
  assert.deepEqual(replyIn(`${whole}HTTP`), { status: 200, body: "{}", end: whole.length });
  for (let cut = 0; cut < whole.length; cut++) assert.equal(replyIn(whole.slice(0, cut)), undefined);
});

test("a reply in chunks is whole after its last one", () => {
  const whole = `${head}Transfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\nA\r\n":12345678\r\n1\r\n}\r\n0\r\n\r\n`;
  assert.deepEqual(replyIn(`${whole}HTTP`), { status: 200, body: '{"a":12345678}', end: whole.length });
  for (let cut = 0; cut < whole.length; cut++) assert.equal(replyIn(whole.slice(0, cut)), undefined);
});

test("a refresh that hands out a token which is known, or nothing, is a failure", () => {
  const tokens = ["one", "two"];
  const next = refreshing(tokens, 1);
  const reply = (refreshToken: string) => JSON.stringify({ refreshToken, accessToken: "a.b.c" });
  assert.equal(next(0).check(200, reply("three")), true);
  assert.equal(tokens[0], "three");
  assert.equal(next(0).check(200, reply("three")), false);
  assert.equal(next(0).check(401, "{}"), false);
});

test("RFC 6749 §2.3.1: a client with a secret says it in Basic, one without names itself in the form", () => {
  const asConfidential = refreshing(["one"], 1, { id: "bench", secret: "s" })(0);
  assert.match(asConfidential.fields ?? "", /^Authorization: Basic YmVuY2g6cw==\r\n$/);
  assert.doesNotMatch(asConfidential.body, /client_id/);
  const asPublic = refreshing(["one"], 1, { id: "bench" })(0);
  assert.equal(asPublic.fields, undefined);
  assert.match(asPublic.body, /&client_id=bench$/);
});
