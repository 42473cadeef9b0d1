import assert from "node:assert/strict";
import { test } from "node:test";
import { runFaults } from "../bench/faults/run.ts";
import { shortRun } from "../bench/faults/short.ts";
import { testEngine } from "../packages/server/src/storage/test-database.ts";

const seed = 20_261;

test("kills, cuts, stalls, lost replies, full disks, wrong clocks and restores sign no honest client out, lose nothing acknowledged and hide no thief", async () => {
  // Written at once: what a run that has to be killed did last is what shows why.
  const log = (line: string) => console.log(line);
  const report = await runFaults({ ...shortRun, engine: testEngine, seed, log });
  const { counts, counters, complaints, faults, wires, skipped } = report;
  log(`seed ${seed}: ${JSON.stringify({ seconds: report.seconds, counts, faults, wires, skipped })}`);
  assert.deepEqual(complaints, [], `seed ${seed}: what clients were told and what is stored differ`);
  for (const [kind, count] of Object.entries(counters)) assert.equal(count, 0, kind);

  // A run in which nothing happened has shown nothing.
  for (const [name, times] of Object.entries(faults)) assert.ok(times > 0, `not once: ${name}`);
  assert.ok((faults["kill a node (kill -9)"] ?? 0) >= shortRun.kills);
  const happened = ["turns", "unanswered", "signOuts", "thievesCaught", "races", "lateDuplicates"] as const;
  for (const name of happened) assert.ok(counts[name] > 0, `nothing of it: ${name}`);
  assert.ok(counts.turns >= shortRun.turns);
  assert.ok((wires["replies to clients lost"] ?? 0) > 0, "no reply was lost");
});
