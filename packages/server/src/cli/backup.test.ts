import assert from "node:assert/strict";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { raw } from "sql-template-tag";
import type { SettingsInput } from "../config-schema.ts";
import { randomBytes } from "../primitives/random.ts";
import { migrations } from "../storage/migrations/index.ts";
import { openDatabase } from "../storage/open.ts";
import { testEngine } from "../storage/test-database.ts";
import { startTestServer } from "../test-server.ts";
import { runCommand } from "./test-command.ts";

const folder = mkdtempSync(join(tmpdir(), "keyturn-backup-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const onSqlite = { skip: testEngine !== "sqlite" && "about SQLite" };
let places = 0;

/** Settings for a database of its own, servers on it that stop, and commands. */
function openPlace() {
  const home = join(folder, String(++places));
  const file = join(home, "keyturn.db");
  const config = join(folder, `${places}.json`);
  const settings: SettingsInput = {
    data: home,
    database: `sqlite:${file}`,
    secret: randomBytes(32).toString("base64url"),
    issuer: "http://127.0.0.1:1",
  };
  writeFileSync(config, JSON.stringify(settings));
  const { issuer: _, ...own } = settings;
  return {
    file,
    copy: join(folder, `${places}-copy.db`),
    secret: String(settings.secret),
    start: (more: SettingsInput = {}) => startTestServer({ settings: { ...own, ...more } }),
    run: (...args: string[]) => runCommand([...args, "--config", config, "--json"]),
  };
}

const errorOf = ({ stderr }: { stderr: string }) => (JSON.parse(stderr) as { error: string }).error;

test(
  "a backup of a server under load is whole, of one moment, readable by its owner alone, and without the secret",
  onSqlite,
  async () => {
    const place = openPlace();
    const server = await place.start();
    await server.addUser("alice");
    const signedIn = await Promise.all(Array.from({ length: 4 }, () => server.login("alice")));
    let loading = true;
    const load = signedIn.map(async ({ refreshToken }) => {
      for (let token = refreshToken, turns = 0; ; turns++) {
        if (!loading) return turns;
        const reply = await server.call("/refresh", { json: { refreshToken: token } });
        assert.equal(reply.status, 200, reply.text);
        token = String(reply.json.refreshToken);
      }
    });
    const done = await place.run("backup", place.copy);
    loading = false;
    assert.equal(done.exitCode, 0, done.stderr);
    assert.ok(
      (await Promise.all(load)).every((turns) => turns > 0),
      "clients turned meanwhile",
    );
    const { rows, bytes, version } = done.json() as {
      rows: Record<string, number>;
      bytes: number;
      version: number;
    };
    assert.deepEqual([rows.sessions, rows.users, version], [4, 1, migrations.length]);
    assert.deepEqual([statSync(place.copy).mode & 0o777, statSync(place.copy).size], [0o600, bytes]);
    assert.ok(!readFileSync(place.copy).includes(Buffer.from(place.secret, "base64url")));
    assert.ok(!readFileSync(place.copy).includes(place.secret));
    assert.match(done.stdout, /"variable": "KEYTURN_SECRET"/);
    await server.close();
  },
);

test(
  "a backup writes over nothing unless told to, never over the database, and leaves no half of itself",
  onSqlite,
  async () => {
    const place = openPlace();
    await (await place.start()).close();
    writeFileSync(place.copy, "precious");
    assert.equal(errorOf(await place.run("backup", place.copy)), "file_exists");
    assert.equal(readFileSync(place.copy, "utf8"), "precious");
    const alias = `${place.copy}-alias`;
    symlinkSync(place.file, alias);
    for (const own of [place.file, `${place.file}-wal`, alias])
      assert.equal(errorOf(await place.run("backup", own, "--force")), "file_is_database");
    const nowhere = await place.run("backup", join(folder, "missing", "copy.db"));
    assert.equal(nowhere.exitCode, 3, nowhere.stderr);
    assert.equal((await place.run("backup", place.copy, "--force")).exitCode, 0);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.includes(".half")),
      [],
    );
  },
);

test(
  "after a restore newer tokens are refused and end nothing, until the operator opens a window",
  onSqlite,
  async () => {
    const place = openPlace();
    let server = await place.start();
    await server.addUser("alice");
    const first = await server.login("alice");
    const ended = await server.login("alice");
    const { seq: before } = (await server.app.revocations.snapshot()) as { seq: number };
    assert.equal((await place.run("backup", place.copy)).exitCode, 0);
    const later = await server.call("/refresh", { json: { refreshToken: first.refreshToken } });
    const newer = await server.call("/refresh", { json: { refreshToken: later.json.refreshToken } });
    await server.addUser("bob");
    assert.equal((await server.call("/logout", { json: { refreshToken: ended.refreshToken } })).status, 204);

    assert.equal(errorOf(await place.run("restore", place.copy)), "database_in_use");
    assert.ok(existsSync(place.file));
    await server.close();
    const restored = await place.run("restore", place.copy);
    assert.equal(restored.exitCode, 0, restored.stderr);
    const { aside, sessionsEndedAgain } = restored.json() as { aside: string; sessionsEndedAgain: number };
    assert.equal(sessionsEndedAgain, 1, "a restore does not undo a revocation");
    assert.equal(statSync(place.file).mode & 0o777, 0o600);

    server = await place.start();
    const refresh = () => server.call("/refresh", { json: { refreshToken: newer.json.refreshToken } });
    const refused = await refresh();
    assert.deepEqual([refused.status, refused.json.reason], [401, "unknown"]);
    const over = await server.call("/refresh", { json: { refreshToken: ended.refreshToken } });
    assert.equal(over.json.reason, "revoked");
    const { seq } = await server.app.revocations.snapshot();
    assert.ok(seq > before + 1_000_000, "no number of the feed names two entries");
    assert.deepEqual(
      (await server.app.audit.list({ rows: 100 })).filter(({ type }) => type === "database.restored").length,
      1,
    );
    await server.close();

    server = await place.start({ restoreWindowUntil: new Date(Date.now() + 60_000).toISOString() });
    assert.equal((await refresh()).status, 200, "adopted within the window");
    await server.close();
    const old = await openDatabase({ url: `sqlite:${aside}` });
    assert.deepEqual(await old.all(raw("SELECT username FROM users ORDER BY username")), [
      { username: "alice" },
      { username: "bob" },
    ]);
    await old.close();
  },
);

test("what ended in the database that goes is over in the restored one, noted or not", onSqlite, async () => {
  const place = openPlace();
  const server = await place.start();
  await server.addUser("alice");
  const [gone, stays] = [await server.login("alice"), await server.login("alice")];
  assert.equal((await place.run("backup", place.copy)).exitCode, 0);
  assert.equal((await server.call("/logout", { json: { refreshToken: gone.refreshToken } })).status, 204);
  await server.close();
  // As a server that had no room on its disk, or was killed, leaves it.
  rmSync(join(place.file, "..", "ended-sessions"), { recursive: true });
  const restored = await place.run("restore", place.copy);
  assert.equal(restored.exitCode, 0, restored.stderr);
  assert.equal(restored.json().sessionsEndedAgain, 1);
  const again = await place.start();
  const reasons = [];
  for (const { refreshToken } of [gone, stays])
    reasons.push((await again.call("/refresh", { json: { refreshToken } })).json.reason);
  assert.deepEqual(reasons, ["revoked", undefined]);
  await again.close();
});

test("what is no sound backup is not restored, and what was there stays", onSqlite, async () => {
  const place = openPlace();
  await (await place.start()).close();
  assert.equal((await place.run("backup", place.copy)).exitCode, 0);
  const good = readFileSync(place.copy);
  const present = readFileSync(place.file);
  const damaged = Buffer.from(good);
  for (let page = 2; page * 4096 < damaged.length; page += 3)
    damaged.fill(0x5a, page * 4096, page * 4096 + 400);
  const bad = {
    empty: Buffer.alloc(0),
    text: Buffer.from("not a database".repeat(999)),
    damaged,
    cut: good.subarray(0, 40_000),
  };
  for (const [name, bytes] of Object.entries(bad)) {
    writeFileSync(place.copy, bytes);
    assert.equal((await place.run("restore", place.copy)).exitCode, 3, name);
  }
  writeFileSync(place.copy, good);
  const newer = await openDatabase({ url: `sqlite:${place.copy}` });
  await newer.batch([
    raw("INSERT INTO schema_migrations (version, name, applied_at) VALUES (9999, 'of tomorrow', 0)"),
  ]);
  assert.equal(errorOf(await place.run("restore", place.copy)), "backup_has_log");
  await newer.close();
  assert.equal(errorOf(await place.run("restore", place.copy)), "database_too_new");
  assert.equal(errorOf(await place.run("restore", join(folder, "missing.db"))), "not_found");
  assert.ok(readFileSync(place.file).equals(present));
  assert.deepEqual(
    readdirSync(join(place.file, "..")).filter((name) => /restor/.test(name)),
    [],
  );
});

test(
  "in the place of a database that cannot be opened a backup is put only when told that nobody uses it",
  onSqlite,
  async () => {
    const place = openPlace();
    await (await place.start()).close();
    assert.equal((await place.run("backup", place.copy)).exitCode, 0);
    writeFileSync(place.file, "broken".repeat(2000));
    assert.equal(errorOf(await place.run("restore", place.copy)), "database_unreadable");
    const done = await place.run("restore", place.copy, "--force");
    assert.equal(done.exitCode, 0, done.stderr);
    assert.match(readFileSync(String(done.json().aside), "utf8"), /^broken/);
    await (await place.start()).close();
    rmSync(place.file);
    assert.equal((await place.run("restore", place.copy)).json().aside, null);
  },
);

test("for PostgreSQL the answer is the command to run, without the password", async () => {
  const config = join(folder, "postgres.json");
  writeFileSync(
    config,
    JSON.stringify({ data: folder, database: "postgres://u:hidden@db.example/keyturn?schema=auth" }),
  );
  for (const what of ["backup", "restore"]) {
    const { exitCode, stderr } = await runCommand([what, "x.db", "--config", config]);
    assert.equal(exitCode, 1);
    assert.match(
      stderr,
      what === "backup"
        ? /pg_dump --format=custom --schema=auth --file=keyturn\.dump postgres:\/\/db\.example\/keyturn/
        : /pg_restore .*keyturn\.dump/,
    );
    assert.doesNotMatch(stderr, /hidden/);
  }
});
