import assert from "node:assert/strict";
import { test } from "node:test";
import { makeKey } from "./open-keys.ts";
import { createSecrets } from "./secrets.ts";

test("no key has a name that a command line takes for an option", async () => {
  const secrets = createSecrets([Buffer.alloc(32, 1)]);
  // One name of 64 would begin with a hyphen: of 1000 at least one, but once in seven million runs.
  const keys = await Promise.all(Array.from({ length: 1000 }, () => makeKey("EdDSA", secrets)));
  assert.deepEqual(
    keys.map(({ id }) => id).filter((id) => id.startsWith("-")),
    [],
  );
  assert.equal(new Set(keys.map(({ id }) => id)).size, keys.length);
});
