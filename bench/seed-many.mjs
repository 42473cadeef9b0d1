/*
 * Fills a data folder, or a PostgreSQL, with many sessions of apps: one is made by the server, the others are copies of
 * its row by SQL, as the server leaves them after they have been refreshed a few times (four replacements remembered,
 * each with its attempt key's digest). Ids are in the order of time and times over ten days; every user has ten
 * sessions, made far from each other. Prints the refresh tokens of some of them, evenly over the table: for these the
 * digest is that of a secret. Also prints what the sessions take of the database, packed.
 *
 * Plain JavaScript over the built package, as seed.mjs. Arguments: data folder, how many, how many with a token.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { createApp } from "../packages/server/dist/app.js";
import { createSecrets, loadMasterSecrets } from "../packages/server/dist/keys/secrets.js";
import { sha256 } from "../packages/server/dist/primitives/digest.js";
import { createRefreshTokens } from "../packages/server/dist/tokens/refresh-token.js";

const [data, ...numbers] = process.argv.slice(2);
const [count, withToken] = numbers.map(Number);
const url = process.env.KEYTURN_DATABASE;
const agent =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
const GENERATION = 6;
const SPAN_MS = 10 * 24 * 60 * 60 * 1000;
const SESSIONS_A_USER = 10;

const app = await createApp({ data, port: 0, logLevel: "error", ...(url && { database: url }) });
const user = await app.users.add(
  { username: "bench", password: "correct horse battery" },
  { actor: "operator" },
);
if (user.outcome !== "added") throw new Error(user.outcome);
await app.sessions.start({
  userId: user.user.id,
  clientId: "first-party",
  kind: "app",
  scope: "",
  amr: ["pwd"],
  device: "Chrome on Windows",
  ip: "203.0.113.77",
  userAgent: agent,
});
await app.close();

const { refreshKeys } = createSecrets(loadMasterSecrets(undefined, join(data, "secret")));
const tokens = createRefreshTokens(refreshKeys);
const from = Date.now() - SPAN_MS;
const users = Math.max(1, Math.floor(count / SESSIONS_A_USER));
const copied =
  "client_id, kind, parent, scope, resources, amr, device, ip, user_agent, dpop_thumbprint, expires_at, revoked_at, end_reason, end_event";
const made = "id, user_id, authenticated_at, last_used_at, generation, digest, recent";

/** One text for both engines but for how they make bytes; `i` counts from 0. */
function copies({ hex, unhex, random, numbered }) {
  const time = `${from} + i * ${SPAN_MS} / ${count}`;
  const recent = Array.from(
    { length: 4 },
    (_, index) =>
      `${hex(GENERATION - 1 - index, 8)} || ${hex(refreshKeys.currentId, 2)} || ${hex(time, 12)} || ${random(16)}`,
  ).join(" || ");
  const id = `${hex(time, 12)} || '7' || ${hex("i % 4096", 3)} || '80' || ${random(7)}`;
  const userId = `${hex(`${from} + i % ${users}`, 12)} || '70008' || ${hex(`i % ${users}`, 15)}`;
  return `INSERT INTO sessions (${copied}, ${made})
    ${numbered(`SELECT ${copied}, ${unhex(id)}, ${unhex(userId)}, ${time}, ${Date.now()} - i % 3600000, ${GENERATION},
      ${unhex(random(32))}, ${unhex(recent)}`)}`;
}

/** The copied one is older than its copies: each of them is the newest when it is made, as sessions are. */
const oldest = "UPDATE sessions SET id = ";

function fillSqlite() {
  const database = new DatabaseSync(join(data, "keyturn.db"));
  database.prepare(`${oldest}?`).run(firstIdAt(from - 1));
  // Nothing here has to survive a power cut; the server goes back to its own ways.
  database.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000");
  const index = database.prepare("SELECT sql FROM sqlite_schema WHERE name = 'sessions_by_user'").get();
  database.exec("DROP INDEX sessions_by_user");
  database.exec(
    copies({
      hex: (value, digits) => `printf('%0${digits}x', ${value})`,
      unhex: (text) => `unhex(${text})`,
      random: (bytes) => `hex(randomblob(${bytes}))`,
      numbered: (select) =>
        `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${count - 2})
        ${select} FROM n, (SELECT * FROM sessions LIMIT 1)`,
    }),
  );
  database.exec(index.sql);
  const select = database.prepare(
    "SELECT id FROM sessions WHERE id >= ? AND generation = ? ORDER BY id LIMIT 1",
  );
  const update = database.prepare("UPDATE sessions SET digest = ? WHERE id = ?");
  const given = [];
  database.exec("BEGIN");
  for (let index = 0; index < withToken; index++) {
    const row = select.get(firstIdAt(from + (index * SPAN_MS) / withToken), GENERATION);
    if (row === undefined) continue;
    const secret = randomBytes(32);
    update.run(sha256(secret), row.id);
    given.push(tokenOf(Buffer.from(row.id), secret));
  }
  database.exec("COMMIT");
  const parts = database
    .prepare(
      "SELECT name, sum(pgsize) AS bytes FROM dbstat WHERE aggregate = TRUE AND name IN ('sessions', 'sessions_by_user') GROUP BY name",
    )
    .all();
  database.close();
  return { tokens: given, bytes: Object.fromEntries(parts.map(({ name, bytes }) => [name, bytes])) };
}

async function fillPostgres() {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`${oldest}$1`, [firstIdAt(from - 1)]);
  await client.query("DROP INDEX sessions_by_user");
  await client.query(
    copies({
      hex: (value, digits) => `lpad(to_hex((${value})::bigint), ${digits}, '0')`,
      unhex: (text) => `decode(${text}, 'hex')`,
      random: (bytes) => `left(md5(random()::text) || md5(random()::text), ${2 * bytes})`,
      numbered: (select) =>
        `${select} FROM generate_series(0::bigint, ${count - 2}) n (i), (SELECT * FROM sessions LIMIT 1) one`,
    }),
  );
  await client.query("CREATE INDEX sessions_by_user ON sessions (user_id)");
  const given = [];
  await client.query("BEGIN");
  for (let index = 0; index < withToken; index++) {
    const at = firstIdAt(from + (index * SPAN_MS) / withToken);
    const secret = randomBytes(32);
    const { rows } = await client.query({
      name: "give",
      text: "UPDATE sessions SET digest = $1 WHERE id = (SELECT id FROM sessions WHERE id >= $2 AND generation = $3 ORDER BY id LIMIT 1) RETURNING id",
      values: [sha256(secret), at, GENERATION],
    });
    if (rows[0] !== undefined) given.push(tokenOf(rows[0].id, secret));
  }
  await client.query("COMMIT");
  await client.query("VACUUM (FULL, ANALYZE) sessions");
  const { rows } = await client.query(
    "SELECT pg_table_size('sessions') AS sessions, pg_indexes_size('sessions') AS indexes",
  );
  await client.query("CHECKPOINT");
  await client.end();
  const bytes = { sessions: Number(rows[0].sessions), indexes: Number(rows[0].indexes) };
  return { tokens: given, bytes };
}

function firstIdAt(time) {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Math.floor(time), 0, 6);
  return bytes;
}

function tokenOf(sessionId, secret) {
  return tokens.encode({ keyId: refreshKeys.currentId, sessionId, generation: GENERATION, secret });
}

const filled = url === undefined ? fillSqlite() : await fillPostgres();
// One that is asked for everywhere alike: no session's neighbour is turned beside it.
for (let index = filled.tokens.length - 1; index > 0; index--) {
  const other = Math.floor(Math.random() * (index + 1));
  [filled.tokens[index], filled.tokens[other]] = [filled.tokens[other], filled.tokens[index]];
}
process.stdout.write(JSON.stringify({ ...filled, clientTokens: [], secret: "" }));
