import assert from "node:assert/strict";
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { type JobResult, runJob } from "./job.ts";
import { failed, summaryText } from "./report.ts";

const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
const head = 'import { test, describe } from "node:test"; ';

async function runSource(t: TestContext, source: string, timeoutSeconds = 30): Promise<JobResult> {
  const root = fs.mkdtempSync(path.join(tmpdir(), "keyturn-job-"));
  t.after(() => fs.rmSync(root, { recursive: true }));
  fs.writeFileSync(path.join(root, "one.test.mjs"), source);
  // run() refuses to run inside a test; this one has read the variable already.
  delete process.env.NODE_TEST_CONTEXT;
  const stop = new AbortController().signal;
  return runJob({ file: "one.test.mjs" }, { root, environment, timeoutSeconds, stop });
}

test("counts tests as node does, and keeps the reason of every skip", async (t) => {
  const source = `test("a", () => {}); test("b", { skip: "why" }, () => {}); describe("s", () => { test("c", () => {}); });`;
  const result = await runSource(t, head + source);
  assert.equal(failed(result), false);
  assert.deepEqual([result.counts.tests, result.counts.passed, result.counts.skipped], [3, 2, 1]);
  const summary = summaryText([result], 12);
  assert.match(summary, /skipped: b \[one\.test\.mjs\] why/);
  assert.match(
    summary,
    /ℹ tests 3\nℹ suites 1\nℹ pass 2\nℹ fail 0\nℹ cancelled 0\nℹ skipped 1\nℹ todo 0\nℹ duration_ms 12\.000$/,
  );
});

test("a failing test is reported with its error, its suite is not reported beside it", async (t) => {
  const result = await runSource(
    t,
    `${head} describe("s", () => { test("c", () => { throw new Error("bad luck"); }); });`,
  );
  assert.deepEqual(
    result.failures.map(({ title }) => title),
    ["c"],
  );
  assert.match(summaryText([result], 0), /bad luck/);
});

test("a failing test that is marked as to do is listed with its reason, and fails nothing", async (t) => {
  const result = await runSource(
    t,
    `${head} test("a", { todo: "soon" }, () => { throw new Error("not yet"); });`,
  );
  assert.equal(failed(result), false);
  assert.match(summaryText([result], 0), /skipped: a \[one\.test\.mjs\] to do: soon/);
});

test("a file whose output shows a secret has failed, and the secret is not repeated", async (t) => {
  const hidden = "k".repeat(43);
  const log = `console.error(JSON.stringify({ level: 30, msg: "krt_" + "k".repeat(43) }));`;
  const result = await runSource(t, `${head} test("a", () => { ${log} });`);
  assert.equal(failed(result), true);
  assert.deepEqual([result.counts.passed, result.counts.failed], [1, 1]);
  const [{ title, cause } = { title: "", cause: "" }] = result.failures;
  assert.equal(title, "no log shows a secret");
  assert.match(String(cause), /^a refresh token, behind: \{"level":30/);
  assert.ok(!String(cause).includes(hidden));
});

for (const [what, source] of [
  ["hangs in a loop", 'test("a", () => { for (;;); });'],
  ["does not end after its tests", 'test("a", () => { setInterval(() => {}, 1000); });'],
]) {
  test(`a file that ${what} is killed and has failed`, async (t) => {
    const result = await runSource(t, head + source, 2);
    assert.equal(result.counts.failed, 1);
    assert.match(String(result.failures[0]?.cause), /killed: it took more than 2 s/);
  });
}

for (const [what, source, reason] of [
  ["holds no test", "export {};", /^it holds no test$/],
  ["cannot be loaded", 'import "./not-there.mjs";', /^its process ended with exit code 1$/],
  [
    "ends with an exit code of its own",
    `${head} test("a", () => {}); process.on("exit", () => { process.exitCode = 3; });`,
    /^its process ended with exit code 3$/,
  ],
  [
    "is ended by a signal",
    `${head} test("a", () => {}); process.on("exit", () => { process.kill(process.pid, "SIGKILL"); });`,
    /^its process ended with SIGKILL$/,
  ],
  [
    "fails in what a test has left behind",
    `${head} test("a", () => { setTimeout(() => Promise.reject(new Error("too late")), 1); });
    test("b", () => new Promise((resolve) => setTimeout(resolve, 50)));`,
    /^its process ended with exit code 1\n.*Test "a" .* after the test ended.*too late/,
  ],
] as const) {
  test(`a file that ${what} has failed, and the report says so`, async (t) => {
    const result = await runSource(t, source);
    assert.equal(failed(result), true);
    assert.equal(result.counts.failed, 1);
    assert.match(String(result.failures[0]?.cause), reason);
  });
}
