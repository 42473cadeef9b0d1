import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../primitives/limits.ts";
import { deviceNames } from "./device-names.ts";

const deviceOf = await deviceNames();
const named = (userAgent?: string, device?: string) => deviceOf({ device, userAgent });

test("a browser is called by its name and its system's, a program by its own", () => {
  const agents = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0": [
      "Firefox on Linux",
      "computer",
    ],
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36":
      ["Chrome on Windows", "computer"],
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1":
      ["Safari on iOS", "phone"],
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36":
      ["Chrome on Android", "phone"],
    "okhttp/4.12.0": ["okhttp", "program"],
    "curl/8.5.0": ["curl", "program"],
  };
  for (const [agent, [name, kind]] of Object.entries(agents)) {
    assert.deepEqual(named(agent), { name, software: name, kind }, agent);
  }
});

test("what its owner called it comes first, and what is not known is said to be", () => {
  assert.equal(named("curl/8.5.0", "Build server").name, "Build server");
  assert.equal(named("curl/8.5.0", "Build server").software, "curl");
  for (const nothing of [undefined, "", "node", "<b>", "/", " "]) {
    assert.deepEqual(named(nothing), { name: "Unknown device", software: undefined, kind: "program" });
  }
});

test("whatever stands in a User-Agent, a short name comes out, and in no time", () => {
  const max = 2 * limits.deviceNameCharactersMax + 10;
  const agents = fc.string({ maxLength: limits.userAgentCharactersMax, unit: "binary" });
  fc.assert(fc.property(agents, (agent) => named(agent).name.length <= max));
  for (const bit of ["(", "/", "Chrome/", "a ", ";", "Mozilla/5.0 (", "1.", "\\", "-"]) {
    const agent = bit.repeat(300).slice(0, limits.userAgentCharactersMax);
    const started = performance.now();
    assert.ok(named(agent).name.length <= max);
    assert.ok(performance.now() - started < 100, bit);
  }
});
