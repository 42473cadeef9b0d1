import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { openTestPlace } from "./test-command.ts";

const place = await openTestPlace();
after(() => place.close());
const target = `sqlite:${join(place.folder, "target.db")}`;

test("a move is refused in one line: no tables, no target, a password as an argument, the same database", async () => {
  const cases: [string[], number, RegExp][] = [
    [["--to", target], 1, /lacks \d+ migrations: run keyturn migrate first/],
    [[], 2, /Say where to/],
    [["--to", "postgres://u:hidden@db.example/x"], 2, /A password is never an argument/],
    [["--to", "mysql://db.example/x"], 3, /must begin with sqlite: or postgres/],
    [["--to", target, "--pause-seconds", "never"], 2, /--pause-seconds takes/],
    [["--to", "postgres://127.0.0.1:1/x"], 3, /nothing answers there/],
  ];
  for (const [args, exitCode, line] of cases) {
    const refused = await place.run(["move", ...args]);
    assert.equal(refused.exitCode, exitCode, refused.stderr);
    assert.match(refused.stderr, line);
    assert.doesNotMatch(refused.stderr, /hidden/);
  }
  const same = await place.run(["move", "--to", "-"], String(place.settings.database));
  assert.match(same.stderr, /that of the database itself/);
});

test("a move says what was compared, table by table, and what to do next; a rehearsal lets the old one go on", async () => {
  assert.equal((await place.run(["migrate"])).exitCode, 0);
  const rehearsed = await place.run(["move", "--to", target, "--rehearse"]);
  assert.equal(rehearsed.exitCode, 0, rehearsed.stderr);
  assert.match(rehearsed.stdout, /Rehearsed: .*goes on\./);
  assert.match(rehearsed.stderr, /Writes are paused/);
  assert.equal((await place.run(["user", "list"])).exitCode, 0);
  const moved = await place.run(["move", "--to", target, "--json"]);
  assert.equal(moved.exitCode, 0, moved.stderr);
  const { tables } = moved.json() as { tables: { digest: string; targetDigest: string }[] };
  assert.ok(tables.length > 25 && tables.every(({ digest, targetDigest }) => digest === targetDigest));
  const refused = await place.run(["user", "list", "--json"]);
  assert.equal(refused.exitCode, 3);
  assert.match(refused.stderr, /was moved to .*target\.db/);
  assert.match((await place.run(["move", "--resume"])).stdout, /takes writes again/);
  assert.match((await place.run(["move", "--resume"])).stdout, /was not paused/);
  assert.equal((await place.run(["user", "list"])).exitCode, 0);
  assert.match((await place.run(["move", "--to", target])).stderr, /is not empty/);
});
