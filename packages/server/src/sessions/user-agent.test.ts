import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { packUserAgent, unpackUserAgent } from "./user-agent.ts";

const windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)";
const agents = {
  chrome: `${windows} AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36`,
  edge: `${windows} AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0`,
  firefox: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
  firefoxLinux: "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
  safari:
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
  iphone:
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
  android:
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
};

test("a User-Agent comes out of the row as it was sent, whatever it is", () => {
  const fragments = Object.values(agents).flatMap((agent) => agent.split(/(?<=[ (;/])/));
  const made = fc.array(fc.constantFrom(...fragments), { maxLength: 12 }).map((some) => some.join(""));
  const field = fc.string({ unit: "binary" }).map((text) => text.replaceAll(/\p{Cc}/gu, "x"));
  fc.assert(
    fc.property(fc.oneof(made, field, fc.constantFrom(...Object.values(agents))), (agent) => {
      assert.equal(unpackUserAgent(packUserAgent(agent)), agent);
    }),
  );
});

test("those of the usual browsers take a quarter of their length at the most", () => {
  for (const [name, agent] of Object.entries(agents)) {
    const packed = packUserAgent(agent);
    assert.ok(packed.length <= agent.length / 4, `${name}: ${packed.length} of ${agent.length}`);
  }
});

test("RFC 9110 §5.5: a control character, which no field has, stands for none of the parts", () => {
  assert.equal(unpackUserAgent(packUserAgent("a\u0001b\u0000c")), "a b c");
});

test("rows that were written before read as they did: no part is ever changed or moved", () => {
  const written = { chrome: "\u0001140\u0002", iphone: "\u000618_6\u000726.0\u0008" };
  assert.equal(unpackUserAgent(written.chrome), agents.chrome);
  assert.equal(unpackUserAgent(written.iphone), agents.iphone);
  assert.equal(unpackUserAgent("\u000e x86 \u0017"), "Mozilla/5.0 (X11; Linux x86_64 x86  Mobile/");
  assert.equal(unpackUserAgent(agents.chrome), agents.chrome, "as it was before there was a table");
});
