import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { migrate } from "../packages/server/src/storage/migrate.ts";
import { type Migration, migrations } from "../packages/server/src/storage/migrations/index.ts";
import { openTestDatabase, type TestDatabase } from "../packages/server/src/storage/test-database.ts";
import { type KeyturnServer, keyturnScript, startKeyturn } from "./keyturn-process.ts";
import { createStage } from "./stage.ts";

/* Servers of this version, while the next one, and the one after that, change the tables under them. */

const stage = createStage();
after(() => stage.clear());

const newest = migrations.length;
const next: Migration = {
  version: newest + 1,
  name: "next",
  readableFrom: newest,
  sql: "ALTER TABLE sessions ADD COLUMN note TEXT;\nCREATE TABLE notes (id BIGINT NOT NULL PRIMARY KEY);\n",
};
const afterNext: Migration = { version: newest + 2, name: "after-next", sql: "DROP TABLE notes;\n" };

let place: TestDatabase;
let server: KeyturnServer;
before(async () => {
  place = await openTestDatabase({ empty: true });
  stage.onClear(() => place.close());
  server = await startKeyturn(stage, { database: place.url });
  await server.register("alice");
});

test("servers go on while the tables become one version newer, and more of them start", async () => {
  const { refreshToken } = await server.login("alice");
  let current = refreshToken;
  let over = false;
  const client = (async () => {
    for (; !over; ) {
      const { status, json } = await server.refresh(current);
      if (status === 503) continue;
      assert.equal(status, 200, JSON.stringify(json));
      current = json.refreshToken;
    }
  })();
  await migrate(place.database, { migrations: [...migrations, next] });
  const beside = await startKeyturn(stage, { database: place.url, beside: server });
  over = true;
  await client;
  assert.equal((await beside.call("/readyz")).status, 200);
  assert.equal((await beside.refresh(current)).status, 200);
  await beside.login("alice");
  const { code, stdout } = await stage.run(keyturnScript, ["doctor", "--json"], {
    environment: server.environment,
  });
  assert.equal(code, 0, stdout);
  assert.match(stdout, /a newer Keyturn has changed them/);
  await beside.stop();
});

test("two versions on, a server lets its requests end, says why, and ends with exit code 3", async () => {
  await migrate(place.database, { migrations: [...migrations, next, afterNext], serversStopped: true });
  assert.equal((await server.call("/readyz")).status, 503);
  const line = new RegExp(`tables of version ${newest + 2}, this Keyturn knows up to ${newest}: install`);
  const ended = await server.ended();
  assert.equal(ended.code, 3);
  assert.match(ended.stderr, line);
  const { code, stderr } = await stage.run(keyturnScript, ["serve"], { environment: server.environment });
  assert.equal(code, 3);
  assert.match(stderr, line);
});

test("keyturn migrate on tables of a newer version changes nothing", async () => {
  const { code, stderr } = await stage.run(keyturnScript, ["migrate", "--servers-stopped"], {
    environment: server.environment,
  });
  assert.equal(code, 3);
  assert.match(stderr, /tables of version/);
});
