import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { version } from "./index.ts";
import { issuerUrl } from "./test-issuer.ts";
import { createWorld, signIn, spoilWallClock } from "./test-world.ts";

let restore: () => void;
before(() => {
  restore = spoilWallClock();
});
after(() => restore());

test("the exported version is the version of the package", async () => {
  const manifest = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
  assert.equal(version, manifest.version);
});

describe("the client itself", () => {
  test("a listener that throws stops nothing, and one that is taken off hears nothing", async () => {
    const world = createWorld();
    const tab = world.openTab();
    const heard: string[] = [];
    tab.client.on("signedIn", () => {
      throw new Error("a listener's own");
    });
    const stop = tab.client.on("signedIn", () => heard.push("stopped"));
    tab.client.on("signedIn", () => heard.push("kept"));
    stop();
    await signIn(world, tab);
    assert.deepEqual(heard, ["kept"]);
  });

  test("after close() nothing waits any more and nothing begins", async () => {
    const world = createWorld();
    const tab = world.openTab();
    await signIn(world, tab);
    await world.timeline.advance(700_000);
    world.network = () => new Promise(() => {});
    const getting = assert.rejects(tab.client.accessToken(), { name: "KeyturnError", code: "unavailable" });
    await world.timeline.settle();
    tab.client.close();
    await getting;
    await world.timeline.settle();
    assert.equal(world.timeline.waiting(), 0);
    await assert.rejects(tab.client.fetch(issuerUrl), { name: "KeyturnError", code: "closed" });
    await assert.rejects(tab.client.session(), { name: "KeyturnError", code: "closed" });
    assert.equal(
      [...world.wakers.values()].reduce((sum, { size }) => sum + size, 0),
      0,
    );
  });

  for (const [wrong, name] of [
    [{ issuer: "auth" }, "issuer"],
    [{ issuer: "https://a.example/?x=1" }, "issuer"],
    [{ issuer: "ftp://a.example" }, "issuer"],
    [{ apis: ["not an address"] }, "apis"],
    [{ mode: "both" as "token" }, "mode"],
    [{ lockSeconds: -1 }, "lockSeconds"],
    [{ lockSeconds: Number.NaN }, "lockSeconds"],
  ] as const) {
    test(`a wrong option is named: ${JSON.stringify(wrong)}`, () => {
      assert.throws(() => createWorld().openTab(wrong), new RegExp(`createClient: ${name} takes`));
    });
  }
});
