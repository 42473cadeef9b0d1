import assert from "node:assert/strict";
import { test } from "node:test";
import { type CpuProfile, selfTimes, unbundled } from "./self-times.ts";

const server = "file:///somewhere/packages/server/dist";
const frames = [
  ["(idle)", ""],
  ["turn", `${server}/sessions/turning.js`],
  ["handle", `${server}/routes.js`],
  ["fetch", "file:///somewhere/node_modules/@hono/node-server/dist/index.mjs"],
  ["(garbage collector)", ""],
  ["sign", ""],
  ["writev", "node:net"],
] as const;

function profileOf(samples: readonly (readonly [frame: number, microseconds: number])[]): CpuProfile {
  const nodes = frames.map(([functionName, url], id) => ({
    id,
    callFrame: { functionName, url, lineNumber: 1 },
  }));
  const endTime = samples.reduce((sum, [, microseconds]) => sum + microseconds, 0);
  // A delta is what has passed since the sample before.
  const timeDeltas = [0, ...samples.map(([, microseconds]) => microseconds)];
  return { nodes, startTime: 0, endTime, samples: samples.map(([frame]) => frame), timeDeltas };
}

const whole = { before: 0, seconds: 1e6 };

test("waiting is no work: shares are of the time in which something ran", () => {
  const { byRoom } = selfTimes(
    [
      profileOf([
        [0, 900],
        [1, 75],
        [4, 25],
      ]),
    ],
    whole,
  );
  assert.deepEqual(byRoom, [
    ["server/sessions/", 0.75],
    ["garbage collector", 0.25],
  ]);
});

test("threads are added, each function with the room that it lives in", () => {
  const { byRoom, byFunction } = selfTimes(
    [
      profileOf([
        [1, 40],
        [5, 20],
      ]),
      profileOf([
        [3, 20],
        [6, 10],
        [2, 10],
      ]),
    ],
    whole,
  );
  assert.deepEqual(Object.fromEntries(byRoom), {
    "server/sessions/": 0.4,
    "native functions": 0.2,
    "@hono/node-server": 0.2,
    "node:net": 0.1,
    "server/": 0.1,
  });
  assert.deepEqual(byFunction[0], ["turn sessions/turning.js", 0.4]);
});

test("only the window counts: neither the start of the program nor its end", () => {
  const profile = profileOf([
    [2, 2_000_000],
    [1, 1_000_000],
    [3, 1_000_000],
    [2, 1_000_000],
  ]);
  const { byRoom } = selfTimes([profile], { before: 1, seconds: 2.5 });
  assert.deepEqual(byRoom.map(([room]) => room).sort(), ["@hono/node-server", "server/sessions/"]);
});

test("a function of the bundled program is in the room of the module that it was written in", () => {
  const bundle = `${server}/cli/program-2RG3MI4H.js`;
  const lines = [
    "// packages/server/src/storage/sqlite.ts",
    "function read() {}",
    "// a remark",
    "// packages/server/src/pipeline.ts",
    "function serve() {}",
  ];
  const given = profileOf([
    [0, 10],
    [1, 20],
    [2, 30],
  ]);
  const nodes = given.nodes.map((node, index) =>
    index === 0 || index > 2
      ? node
      : { ...node, callFrame: { ...node.callFrame, url: bundle, lineNumber: 3 * index - 1 } },
  );
  const { byRoom } = selfTimes([unbundled({ ...given, nodes }, () => lines)], whole);
  assert.deepEqual(Object.fromEntries(byRoom), { "server/storage/": 0.4, "server/": 0.6 });
});
