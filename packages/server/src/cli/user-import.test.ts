import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openTestPlace } from "./test-command.ts";

let place: Awaited<ReturnType<typeof openTestPlace>>;
before(async () => {
  place = await openTestPlace();
  assert.equal((await place.run(["migrate"])).exitCode, 0);
});
after(() => place.close());

function fileOf(name: string, text: string): string {
  const file = join(place.folder, name);
  writeFileSync(file, text);
  return file;
}

test("exit code 0 when every line was taken, 1 when one was refused, whatever could be taken is there", async () => {
  const good = fileOf("good.csv", "username,email\nann,ann@example.com\nben,\n");
  const first = await place.run(["user", "import", good]);
  assert.deepEqual(
    [first.exitCode, first.stdout, first.stderr],
    [0, "2 lines: 2 added, 0 there already, 0 refused.\n", ""],
  );
  const mixed = fileOf("mixed.jsonl", '{"username":"cid"}\n{"username":"c d"}\n{"username":"ann"}\n');
  const second = await place.run(["user", "import", mixed]);
  assert.equal(second.exitCode, 1);
  assert.equal(second.stdout, "3 lines: 1 added, 1 there already, 1 refused.\n");
  assert.match(second.stderr, /^line 2: username: A username has .*\n.*run the same again/);
  assert.equal((await place.run(["user", "show", "cid"])).exitCode, 0);
});

test("--json answers with the counts, --dry-run changes nothing, - is the standard input", async () => {
  const text = "username\ndora\ne f\n";
  const dry = await place.run(["user", "import", "-", "--dry-run", "--json"], text);
  assert.equal(dry.exitCode, 1);
  assert.deepEqual(dry.json(), { lines: 2, added: 1, present: 0, refused: 1, dryRun: true });
  assert.equal((await place.run(["user", "show", "dora"])).exitCode, 1);
  const wet = await place.run(["user", "import", "-", "--json"], text);
  assert.deepEqual(wet.json(), { lines: 2, added: 1, present: 0, refused: 1, dryRun: false });
});

test("--report names the refused lines as JSON lines, in a file for its owner only, without what stood there", async () => {
  const report = join(place.folder, "refused.jsonl");
  const text = 'username,name\n"secret name",x\nfinn,Finn\n,y\n';
  const ran = await place.run(["user", "import", "-", "--report", report], text);
  assert.equal(ran.exitCode, 1);
  const lines = readFileSync(report, "utf8").trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => [JSON.parse(line).line, JSON.parse(line).field]),
    [
      [2, "username"],
      [4, "username"],
    ],
  );
  assert.ok(!`${lines}${ran.stderr}`.includes("secret"));
  assert.ok(!ran.stderr.includes("line 2"));
  if (process.platform !== "win32") assert.equal(statSync(report).mode & 0o777, 0o600);
});

test("exit code 2 and nothing changed: no such file, a folder, a report that cannot be written, no file of users", async () => {
  const good = fileOf("other.csv", "username\ngina\n");
  const wrong = [
    [join(place.folder, "missing.csv")],
    [place.folder],
    [good, "--report", join(place.folder, "no", "such", "folder")],
    [good, "--format", "xml"],
    [fileOf("unknown.csv", "username,shoe size\ngina,9\n")],
    [fileOf("none.csv", "gina\n")],
    [good, "--format", "jsonl", "--ignore"],
  ];
  for (const args of wrong) {
    const ran = await place.run(["user", "import", ...args, "--json"]);
    assert.equal(ran.exitCode, 2, `${args.join(" ")}: ${ran.stderr}`);
    assert.equal(JSON.parse(ran.stderr).error, "wrong_usage");
    assert.equal(ran.stdout, "");
  }
  assert.equal((await place.run(["user", "show", "gina"])).exitCode, 1);
  const ignored = await place.run([
    "user",
    "import",
    join(place.folder, "unknown.csv"),
    "--ignore",
    "shoe size",
  ]);
  assert.equal(ignored.exitCode, 0, ignored.stderr);
});

test("what a file says does not reach the terminal as a command to it", async () => {
  const ran = await place.run(["user", "import", "-"], "username,\u001b]0;title\u0007\nx,y\n");
  assert.equal(ran.exitCode, 2);
  const line = await place.run(["user", "import", "-"], '{"username":"x","\\u001b]0;title\\u0007":1}\n');
  assert.equal(line.exitCode, 1);
  assert.ok(!`${ran.stderr}${line.stderr}`.includes("\u001b"));
});
