import assert from "node:assert/strict";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { raw } from "sql-template-tag";
import { newId } from "../primitives/id.ts";
import { startTestServer, stoppedClock, type TestServer } from "../test-server.ts";
import { createRevocationJournal, endedSessionsFolder, readJournal } from "./revocation-journal.ts";

const data = mkdtempSync(join(tmpdir(), "keyturn-journal-"));
const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I";
const silent = { error() {}, warn() {} };
after(() => rmSync(data, { recursive: true, force: true }));

/** Puts the rows of sessions and feed back to what they were: an older copy of the database. */
async function rememberRows({ database }: TestServer) {
  const kept = ["sessions", "revocations", "revocation_position"];
  for (const table of kept)
    await database.batch([raw(`CREATE TABLE old_${table} AS SELECT * FROM ${table}`)]);
  return async () => {
    for (const table of kept)
      await database.batch([
        raw(`DELETE FROM ${table}`),
        raw(`INSERT INTO ${table} SELECT * FROM old_${table}`),
      ]);
  };
}

test("a session that has ended stays ended when an older copy of the database is put in place", async () => {
  const server = await startTestServer({ settings: { secret } });
  await server.addUser("alice");
  const [ended, reused, everywhere, alive] = await Promise.all([1, 2, 3, 4].map(() => server.login("alice")));
  assert.ok(ended && reused && everywhere && alive);
  const putBack = await rememberRows(server);

  assert.equal((await server.call("/logout", { json: { refreshToken: ended.refreshToken } })).status, 204);
  // Before the caller was told: it is on the disk by now.
  const folder = endedSessionsFolder(server.app.settings);
  assert.deepEqual(
    (await readJournal(folder)).map(({ id, reason }) => [id, reason]),
    [[ended.sessionId, "signed_out"]],
  );
  const revoked = await server.call(`/sessions/${everywhere.sessionId}`, {
    method: "DELETE",
    token: alive.accessToken,
  });
  assert.equal(revoked.status, 204);
  const { seq } = await server.app.revocations.snapshot();

  await putBack();
  // The next start, on the same data folder.
  const next = await startTestServer({ beside: server, settings: { secret } });
  for (const { refreshToken } of [ended, everywhere]) {
    const refused = await next.call("/refresh", { json: { refreshToken } });
    assert.deepEqual([refused.status, refused.json.reason], [401, "revoked"]);
  }
  for (const { refreshToken } of [reused, alive])
    assert.equal((await next.call("/refresh", { json: { refreshToken } })).status, 200);
  const [event] = await next.app.audit.list({ sessionId: ended.sessionId, rows: 1 });
  assert.deepEqual(
    [event?.type, event?.actor, event?.detail?.reason, event?.detail?.restored],
    ["session.ended", "system", "signed_out", true],
  );
  const now = await next.app.revocations.snapshot();
  assert.ok(now.seq > seq + 1_000_000, "no number of the feed names two entries");
  assert.ok(
    now.entries.some(({ session }) => session === ended.sessionId),
    "guards are told again",
  );
  await next.close();
  await server.close();
});

test("a node that runs while an older copy takes the place of its database ends again what had ended", async () => {
  const server = await startTestServer();
  await server.addUser("alice");
  const { refreshToken } = await server.login("alice");
  const putBack = await rememberRows(server);
  await server.call("/logout", { json: { refreshToken } });
  await putBack();
  await server.app.journal.note();
  assert.equal((await server.call("/refresh", { json: { refreshToken } })).json.reason, "revoked");
  await server.close();
});

test("each node ends again what it has noted, also after another one, which knew less, was there first", async () => {
  const server = await startTestServer();
  await server.addUser("alice");
  const { refreshToken } = await server.login("alice");
  const putBack = await rememberRows(server);
  await server.call("/logout", { json: { refreshToken } });
  // Who was told so was told by another node, with a data folder of its own: this one has not noted it.
  const own = endedSessionsFolder(server.app.settings);
  const folder = join(data, "of-another-node");
  cpSync(own, folder, { recursive: true });
  rmSync(own, { recursive: true });
  await putBack();
  await server.app.journal.note();
  const seq = (await server.app.revocations.snapshot()).seq;
  const another = createRevocationJournal({ folder, database: server.database, log: silent });
  await another.note();
  assert.equal((await server.call("/refresh", { json: { refreshToken } })).json.reason, "revoked");
  const after = (await server.app.revocations.snapshot()).seq;
  assert.equal(after, seq + 1, "the numbers have been passed over once, and need not be again");
  // Else each of two nodes would take what the other has done for another restore.
  await server.app.journal.note();
  await another.note();
  assert.equal((await server.app.revocations.snapshot()).seq, after);
  await server.close();
});

test("the journal is bounded: a file goes when the sessions that it speaks of are past their end in any case", async () => {
  const clock = stoppedClock();
  const server = await startTestServer({ clock });
  const folder = endedSessionsFolder(server.app.settings);
  await server.addUser("alice");
  assert.ok(!existsSync(folder), "nothing has ended, nothing is made");
  await server.call("/logout", { json: { refreshToken: (await server.login("alice")).refreshToken } });
  await server.app.journal.deletePast();
  assert.equal(readdirSync(folder).length, 1);
  clock.pass(180 * 24 * 3600);
  await server.app.journal.deletePast();
  assert.equal(readdirSync(folder).length, 1, "its month is not over");
  clock.pass(31 * 24 * 3600);
  await server.app.journal.deletePast();
  assert.deepEqual(readdirSync(folder), []);
  await server.close();
});

test("a line that a crash cut short, and one that is none, spoil no other", async () => {
  const server = await startTestServer();
  const folder = endedSessionsFolder(server.app.settings);
  await server.addUser("alice");
  const [first, second] = await Promise.all([server.login("alice"), server.login("alice")]);
  await server.call("/logout", { json: { refreshToken: first.refreshToken } });
  const [name] = readdirSync(folder);
  const file = join(folder, String(name));
  appendFileSync(file, `\nnot a line\n9 ${newId(1)} 17`);
  await server.call("/logout", { json: { refreshToken: second.refreshToken } });
  assert.deepEqual(
    (await readJournal(folder)).map(({ id }) => id),
    [first.sessionId, second.sessionId],
  );
  assert.doesNotMatch(readFileSync(file, "utf8"), /krt_/);
  await server.close();
});

test("a journal that cannot be written keeps nobody from signing out", async () => {
  const folder = join(data, "no-folder");
  writeFileSync(folder, "a file");
  const server = await startTestServer({ settings: { secret, data: folder } });
  await server.addUser("alice");
  const { refreshToken } = await server.login("alice");
  assert.equal((await server.call("/logout", { json: { refreshToken } })).status, 204);
  assert.ok(server.lines.some((line) => line.includes("could not be written")));
  await server.close();
});
