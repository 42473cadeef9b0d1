import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openTestPlace, type Ran, runCommand } from "./test-command.ts";

const PASSWORD = "correct horse battery";
const NO_SESSION = "00000000-0000-7000-8000-000000000000";

/** With a database that has been migrated, and in which a server has made its keys. */
let place: Awaited<ReturnType<typeof openTestPlace>>;
before(async () => {
  place = await openTestPlace();
  assert.equal((await place.run(["migrate"])).exitCode, 0);
  assert.equal((await place.run(["user", "add", "alice", "--password-stdin"], PASSWORD)).exitCode, 0);
});
after(() => place.close());

function refusedWith(ran: Ran, exitCode: number, error: string): void {
  assert.equal(ran.exitCode, exitCode, ran.stderr);
  assert.equal(ran.stdout, "");
  const parsed = JSON.parse(ran.stderr);
  assert.deepEqual(Object.keys(parsed), ["error", "error_description"]);
  assert.equal(parsed.error, error);
}

test("a command before the first migration says what to do, and makes nothing", async () => {
  const empty = await openTestPlace({ secret: undefined as never });
  try {
    const ran = await empty.run(["user", "list"]);
    assert.equal(ran.exitCode, 3);
    assert.match(ran.stderr, /^keyturn: .*keyturn migrate/);
    assert.ok(!existsSync(join(empty.folder, "data")), "neither a folder nor a secret was made");
    const dry = await empty.run(["migrate", "--dry-run", "--json"]);
    assert.ok((dry.json().migrations as unknown[]).length > 0);
    const again = await empty.run(["migrate", "--dry-run", "--json"]);
    assert.deepEqual(again.json(), dry.json());
    const done = await empty.run(["migrate", "--json"]);
    assert.deepEqual(done.json().migrations, dry.json().migrations);
    assert.match(done.stderr, /^Migration 1 first-tables \(1 of \d+\) …\n/);
    assert.match((await empty.run(["migrate"])).stdout, /is up to date\.\n$/);
    assert.equal((await empty.run(["user", "list"])).exitCode, 0);
  } finally {
    await empty.close();
  }
});

test("every command answers --json with one document on the standard output and nothing else there", async () => {
  const answers: [string[], string?][] = [
    [
      [
        "user",
        "add",
        "carol",
        "--email",
        "carol@example.com",
        "--name",
        "Carol",
        "--role",
        "a",
        "--role",
        "b",
      ],
    ],
    [["user", "add", "dave", "--password-stdin"], `${PASSWORD}\n`],
    [["user", "list"]],
    [["user", "show", "carol@example.com"]],
    [["user", "roles", "carol", "editor"]],
    [
      [
        "role",
        "add",
        "editor",
        "--description",
        "Edits",
        "--permission",
        "a:b",
        "--permission",
        "a:c@orders",
      ],
    ],
    [["role", "list"]],
    [["role", "set", "editor", "--permission", "a:d"]],
    [["role", "set", "editor", "--none", "--description", ""]],
    [["role", "grant", "carol", "editor", "--resource", "orders"]],
    [["role", "grant", "carol", "editor"]],
    [["role", "revoke", "carol", "editor"]],
    [["role", "show", "editor"]],
    [["role", "remove", "editor"]],
    [["user", "roles", "carol", "--none"]],
    [["user", "password", "carol"]],
    [["user", "password", "carol", "--password-stdin", "--keep-sessions"], PASSWORD],
    [["user", "disable", "carol"]],
    [["user", "enable", "carol"]],
    [["user", "remove", "carol"]],
    [["client", "add", "Orders API", "--id", "orders", "--type", "resource"]],
    [["client", "list"]],
    [["client", "show", "orders"]],
    [["client", "secret", "orders"]],
    [["client", "remove", "orders"]],
    [["session", "list"]],
    [["session", "list", "--user", "alice", "--all", "--limit", "5"]],
    [["session", "revoke", "--user", "alice"]],
    [["key", "list"]],
    [["migrate"]],
    [["migrate", "--dry-run"]],
    [["doctor"]],
  ];
  for (const [args, stdin] of answers) {
    const ran = await place.run([...args, "--json"], stdin);
    assert.equal(ran.exitCode, 0, `${args.join(" ")}: ${ran.stderr}`);
    assert.equal(typeof ran.json(), "object");
    assert.ok(
      !`${ran.stdout}${ran.stderr}`.includes(PASSWORD),
      `${args.join(" ")} shows a password that it was given`,
    );
    for (const [, time] of ran.stdout.matchAll(/"\w+At": "([^"]*)"/g)) {
      assert.equal(new Date(time ?? "").toISOString(), time);
    }
  }
});

test("the same answers for a person are text, with nothing but the answer on the standard output", async () => {
  const added = await place.run(["user", "add", "erin"]);
  assert.match(added.stdout, /^username {2}erin\n(.*\n)*password {2}[a-z2-9]{20}\n$/);
  assert.equal(added.stderr, "The password is shown this once.\n");
  const list = await place.run(["user", "list"]);
  const [heading = "", ...rows] = list.stdout.trimEnd().split("\n");
  assert.match(heading, /^USERNAME +E-MAIL +ROLES +ADDED$/);
  const column = heading.indexOf("ADDED");
  for (const row of rows) assert.match(row.slice(column), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/);
});

test("roles at the terminal: what a user has is said in one line", async () => {
  assert.equal((await place.run(["role", "add", "auditor", "--permission", "log:read"])).exitCode, 0);
  const granted = await place.run(["role", "grant", "alice", "auditor"]);
  assert.equal(granted.stdout, "alice now has the roles auditor.\n");
  assert.match(granted.stderr, /within a second/);
  const again = await place.run(["role", "grant", "alice", "auditor"]);
  assert.deepEqual([again.stdout, again.stderr], ["alice has, as before, the roles auditor.\n", ""]);
  await place.run(["role", "grant", "alice", "auditor", "--resource", "orders"]);
  assert.match((await place.run(["user", "show", "alice"])).stdout, /^roles +auditor auditor@orders$/m);
  assert.match((await place.run(["role", "list"])).stdout, /^auditor +log:read/m);
  const removed = await place.run(["role", "remove", "auditor"]);
  assert.equal(removed.stdout, "The role auditor is removed; taken from 1 user.\n");
});

test("exit code 1 and a stable code: what is not there, or is taken", async () => {
  const refusals: [string[], string][] = [
    [["user", "show", "nobody"], "unknown_user"],
    [["user", "remove", "nobody"], "unknown_user"],
    [["user", "password", "nobody"], "unknown_user"],
    [["user", "roles", "nobody", "a"], "unknown_user"],
    [["user", "add", "ALICE"], "username_taken"],
    [["user", "add", "two words"], "invalid_username"],
    [["user", "add", "frank", "--email", "frank"], "invalid_email"],
    [["role", "show", "nothing"], "unknown_role"],
    [["role", "remove", "nothing"], "unknown_role"],
    [["role", "set", "nothing", "--none"], "unknown_role"],
    [["role", "add", "two words"], "invalid_role"],
    [["role", "add", "x", "--permission", "a b"], "invalid_permissions"],
    [["role", "grant", "nobody", "x"], "unknown_user"],
    [["role", "grant", "alice", "two words"], "invalid_role"],
    [["role", "revoke", "alice", "x", "--resource", "a b"], "invalid_resource"],
    [["client", "show", "nothing"], "unknown_client"],
    [["client", "add", "x", "--id", "No!", "--type", "resource"], "invalid_id"],
    [["session", "show", NO_SESSION], "unknown_session"],
    [["session", "explain", NO_SESSION], "unknown_session"],
    [["session", "revoke", "nonsense"], "unknown_session"],
    [["session", "revoke", "--user", "nobody"], "unknown_user"],
    [["session", "list", "--user", "nobody"], "unknown_user"],
    [["key", "rotate"], "no_keys"],
  ];
  for (const [args, error] of refusals) refusedWith(await place.run([...args, "--json"]), 1, error);
  const weak = await place.run(["user", "add", "frank", "--password-stdin", "--json"], "short\n");
  refusedWith(weak, 1, "invalid_password");
});

test("exit code 2, one line and a hint: a command line that is wrong", async () => {
  const wrong: string[][] = [
    ["nonsense"],
    ["user"],
    ["user", "nonsense"],
    ["user", "add"],
    ["user", "add", "a", "b"],
    ["user", "add", "a", "--nonsense"],
    ["user", "roles", "alice"],
    ["user", "roles", "alice", "a", "--none"],
    ["role", "set", "x"],
    ["role", "set", "x", "--none", "--permission", "a"],
    ["role", "grant", "alice"],
    ["user", "list", "--limit", "0"],
    ["user", "list", "--limit", "1e3"],
    ["user", "list", "--from", "x"],
    ["client", "add", "x"],
    ["client", "add", "x", "--type", "nonsense"],
    ["session", "revoke"],
    ["session", "revoke", NO_SESSION, "--user", "alice"],
    ["serve", "--port", "x"],
  ];
  for (const args of wrong) {
    const ran = await place.run([...args, "--json"]);
    assert.equal(ran.exitCode, 2, `${args.join(" ")}: ${ran.stderr}`);
    assert.match(JSON.parse(ran.stderr).error, /^wrong_(usage|setting)$/);
    assert.equal(ran.stdout, "");
  }
  const { stderr } = await place.run(["user", "add", "a", "--emial", "x"]);
  assert.equal(
    stderr,
    "keyturn: Unknown option '--emial' (Did you mean --email?). Add --help to the command to see what it takes.\n",
  );
});

test("exit code 3: the database cannot be reached", async () => {
  const away = await openTestPlace({ database: "postgres://keyturn:hunter2hunter2@127.0.0.1:1/keyturn" });
  try {
    const ran = await away.run(["user", "list", "--json"]);
    refusedWith(ran, 3, "database_unavailable");
    assert.ok(!ran.stderr.includes("hunter2"));
  } finally {
    await away.close();
  }
});

test("a password is never an argument, and one that somebody gives so is not repeated", async () => {
  for (const args of [["--password=hunter2hunter2"], ["--password", "hunter2hunter2"], ["hunter2hunter2"]]) {
    const ran = await place.run(["user", "add", "grace", ...args]);
    assert.equal(ran.exitCode, 2);
    assert.ok(!ran.stderr.includes("hunter2"), ran.stderr);
  }
  assert.match((await place.run(["user", "add", "grace", "--password=x"])).stderr, /--password-stdin/);
});

test("--password-stdin takes one line of UTF-8, and says what is wrong with anything else", async () => {
  const wrong = ["", "\n", "two\nlines of it", "x".repeat(2000)];
  for (const text of wrong) {
    const ran = await place.run(["user", "password", "alice", "--password-stdin", "--json"], text);
    refusedWith(ran, 2, "wrong_usage");
  }
});

test("what a stranger chose does not reach the terminal as a command to it", async () => {
  const name = "Mallory \u202egnp.exe";
  const ran = await place.run(["user", "add", "mallory", "--name", name, "--json"]);
  assert.equal(JSON.parse(ran.stderr).error, "invalid_name");
  const unknown = await place.run(["user", "show", "x\u001b]0;title\u0007"]);
  assert.ok(!unknown.stderr.includes("\u001b") && !unknown.stderr.includes("\u0007"));
});

test("--help of every command has an example; help and version are no failures", async () => {
  const commands = [
    ...["serve", "migrate", "doctor"].map((name) => [name]),
    ...["add", "list", "show", "remove", "disable", "enable", "password", "roles", "import"].map((verb) => [
      "user",
      verb,
    ]),
    ...["add", "list", "show", "set", "remove", "grant", "revoke"].map((verb) => ["role", verb]),
    ...["add", "list", "show", "set", "remove", "secret"].map((verb) => ["client", verb]),
    ...["list", "show", "revoke", "explain"].map((verb) => ["session", verb]),
    ...["list", "rotate"].map((verb) => ["key", verb]),
  ];
  for (const command of commands) {
    const ran = await runCommand([...command, "--help"]);
    assert.equal(ran.exitCode, 0);
    assert.match(ran.stdout, new RegExp(`Example:\n {2}keyturn ${command.join(" ")}`), command.join(" "));
  }
  assert.equal((await runCommand(["--help"])).exitCode, 0);
  assert.match((await runCommand(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
});
