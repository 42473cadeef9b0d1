import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import sql from "sql-template-tag";
import type { SettingsInput } from "../config-schema.ts";
import { openDatabase } from "../storage/open.ts";
import { testEngine } from "../storage/test-database.ts";
import { openTestPlace } from "./test-command.ts";
import { startProcess } from "./test-process.ts";

type Place = Awaited<ReturnType<typeof openTestPlace>>;

async function inPlace(settings: SettingsInput, work: (place: Place) => Promise<void>): Promise<void> {
  const place = await openTestPlace(settings);
  try {
    await work(place);
  } finally {
    await place.close();
  }
}

const serve = (place: Place, ...args: string[]) =>
  startProcess(["serve", "--port", "0", "--config", place.config, ...args], { cwd: place.folder });

const LISTENS = /^Keyturn \S+ listens on (http:\/\/localhost:(\d+)) \(issuer (\S+), (.*)\)$/m;

async function post(
  url: string,
  body: object,
  token?: string,
): Promise<{ status: number; json: Record<string, string> }> {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  return { status: response.status, json: (await response.json()) as Record<string, string> };
}

test("the first start makes everything, names the real port, and prints lines that work in a shell", () =>
  inPlace({ issuer: undefined as never }, async (place) => {
    const server = serve(place);
    const [, address, port, issuer] = await server.sees(LISTENS);
    assert.equal(issuer, `http://localhost:${port}`);
    assert.equal((await fetch(`${address}/healthz`)).status, 200);
    assert.match(server.output.stderr, /for development only/);
    const { stdout } = server.output;
    const password = /^ {4}password {2}([a-z2-9]{20})$/m.exec(stdout)?.[1];
    assert.ok(password);
    const lines = stdout.split("\n").filter((line) => /^ {4}(TOKENS|ACCESS|REFRESH|curl)/.test(line));
    assert.equal(lines.length, 6);
    const shell = spawnSync("sh", ["-c", lines.join("; echo; ")], { encoding: "utf8" });
    assert.equal(shell.status, 0, shell.stderr);
    const [me, refreshed, sessions] = shell.stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    assert.equal(me.username, "admin");
    assert.match(refreshed.refreshToken, /^krt_/);
    assert.equal(sessions.sessions[0].device, "my terminal");
    server.child.kill("SIGTERM");
    assert.equal(await server.exit, 0);
    const all = `${server.output.stdout}${server.output.stderr}`;
    assert.ok(!server.output.stderr.includes(password), "the log has the password");
    assert.ok(!all.includes(refreshed.refreshToken) && !all.includes(String(place.settings.secret)));

    const again = serve(place, "--json");
    await again.sees(/^}$/m);
    const facts = JSON.parse(again.output.stdout);
    assert.equal(facts.firstAdmin, undefined, "the second start prints no user");
    assert.equal(facts.issuer, `http://localhost:${facts.port}`);
    again.child.kill("SIGINT");
    assert.equal(await again.exit, 0);
  }));

test("two servers that start at once print one first user", () =>
  inPlace({}, async (place) => {
    const servers = [serve(place), serve(place)];
    await Promise.all(servers.map((server) => server.sees(LISTENS)));
    for (const server of servers) server.child.kill("SIGTERM");
    assert.deepEqual(await Promise.all(servers.map((server) => server.exit)), [0, 0]);
    assert.equal(servers.filter((server) => /^ {4}password {2}/m.test(server.output.stdout)).length, 1);
  }));

test("a session that the command line revokes is refused by a running server within a second", () =>
  inPlace({}, async (place) => {
    await place.run(["migrate"]);
    await place.run(["user", "add", "alice", "--password-stdin"], "correct horse battery");
    const server = serve(place);
    const [, address = ""] = await server.sees(LISTENS);
    const { json } = await post(`${address}/login`, { username: "alice", password: "correct horse battery" });
    const me = () =>
      fetch(`${address}/me`, { headers: { Authorization: `Bearer ${json.accessToken}` } }).then(
        ({ status }) => status,
      );
    assert.equal(await me(), 200);
    const revoked = await place.run(["session", "revoke", String(json.sessionId), "--json"]);
    const at = performance.now();
    assert.equal(revoked.json().outcome, "revoked", revoked.stderr);
    let status = await me();
    while (status === 200 && performance.now() - at < 5_000) status = await me();
    const took = performance.now() - at;
    assert.equal(status, 401);
    assert.ok(took < 1_000, `it took ${took} ms`);
    const explained = await place.run(["session", "explain", String(json.sessionId)]);
    assert.match(explained.stdout, /\n\nOver: the operator ended it\.\n\nWHEN +WHAT\n/);
    server.child.kill("SIGTERM");
    assert.equal(await server.exit, 0);
  }));

test("the second signal ends it at once with 128 and the signal's number", async () => {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    await inPlace({}, async (place) => {
      const server = serve(place);
      const [, address = ""] = await server.sees(LISTENS);
      // A request whose body never comes keeps the first signal from ending it.
      const { port } = new URL(address);
      const { connect } = await import("node:net");
      const socket = connect(Number(port), "127.0.0.1");
      socket.on("error", () => undefined);
      await once(socket, "connect");
      socket.write(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{",
      );
      assert.equal((await fetch(`${address}/healthz`)).status, 200);
      server.child.kill(signal);
      await server.sees(/stopping/);
      server.child.kill(signal);
      assert.equal(await server.exit, code);
      socket.destroy();
    });
  }
});

test("a signal in the middle of a start leaves nothing half made", () =>
  inPlace({}, async (place) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGINT"] as const) {
      const server = serve(place);
      // The first sign of life of a start that has its signals caught: the port answers, or the tables are made.
      await Promise.race([
        server.sees(/Migrated|listens/),
        new Promise((resolve) => setTimeout(resolve, 150)),
      ]);
      server.child.kill(signal);
      const exit = await server.exit;
      // Before the signals are caught nothing has begun, and the signal itself ends the process.
      assert.ok(exit === 0 || exit === signal, String(exit));
      assert.doesNotMatch(server.output.stderr, /^\s+at /m);
    }
    const server = serve(place);
    await server.sees(LISTENS);
    server.child.kill("SIGTERM");
    assert.equal(await server.exit, 0);
  }));

const SECRET = "b3RoZXIgc2VjcmV0IG90aGVyIHNlY3JldCBvdGhlciBzZWNyZXQ";

interface Crash {
  readonly name: string;
  readonly code: number;
  readonly line: RegExp;
  /** Only these are worth a start on each engine. */
  readonly isOfDatabase?: true;
  prepare(place: Place): Promise<{ environment?: Record<string, string>; args?: string[] } | undefined>;
}

const crashes: readonly Crash[] = [
  {
    name: "another master secret than the one that closed the keys",
    code: 2,
    isOfDatabase: true,
    line: /^keyturn: KEYTURN_SECRET: no master secret opens the current signing key/,
    async prepare(place) {
      const server = serve(place);
      await server.sees(LISTENS);
      server.child.kill("SIGTERM");
      await server.exit;
      return { environment: { KEYTURN_SECRET: SECRET } };
    },
  },
  {
    name: "a database with keys, and no master secret: none is made",
    code: 2,
    isOfDatabase: true,
    line: /^keyturn: KEYTURN_SECRET is not set and there is no file/,
    async prepare(place) {
      const server = serve(place);
      await server.sees(LISTENS);
      server.child.kill("SIGTERM");
      await server.exit;
      writeFileSync(place.config, JSON.stringify({ ...place.settings, secret: undefined }));
      return undefined;
    },
  },
  {
    name: "a secret that is too short",
    code: 2,
    line: /^keyturn: KEYTURN_SECRET: the secret has 6 bytes\./,
    prepare: async () => ({ environment: { KEYTURN_SECRET: "c2hvcnQx" } }),
  },
  {
    name: "a wrong setting",
    code: 2,
    line: /^keyturn: KEYTURN_METRICS is "everyone"; it takes loopback, open or off\.\n$/,
    prepare: async () => ({ environment: { KEYTURN_METRICS: "everyone" } }),
  },
  {
    name: "a host that is not this machine's",
    code: 2,
    line: /^keyturn: HOST is 192\.0\.2\.1/,
    prepare: async () => ({ args: ["--host", "192.0.2.1"] }),
  },
  {
    name: "a secret's file that others can read",
    code: 2,
    line: /^keyturn: The master secret's file .* can be read by others \(mode 0644\)/,
    async prepare(place) {
      const data = join(place.folder, "data");
      mkdirSync(data);
      writeFileSync(join(data, "secret"), SECRET);
      chmodSync(join(data, "secret"), 0o644);
      writeFileSync(place.config, JSON.stringify({ ...place.settings, secret: undefined }));
      return undefined;
    },
  },
  {
    name: "a data folder that cannot be made",
    code: 2,
    line: /^keyturn: The master secret's file .* cannot be (made|opened) \(ENOTDIR\)/,
    async prepare(place) {
      writeFileSync(join(place.folder, "file"), "");
      const data = join(place.folder, "file", "data");
      writeFileSync(place.config, JSON.stringify({ ...place.settings, data, secret: undefined }));
      return undefined;
    },
  },
  {
    name: "a file that is no database",
    code: 3,
    line: /^keyturn: SQLite database .*: it is not a SQLite database/,
    async prepare(place) {
      const file = join(place.folder, "letter.txt");
      writeFileSync(file, "Dear database, ".repeat(1000));
      return { environment: { KEYTURN_DATABASE: `sqlite:${file}` } };
    },
  },
  {
    name: "a PostgreSQL that is not there",
    code: 3,
    line: /^keyturn: PostgreSQL at 127\.0\.0\.1:1\/x: nothing answers there/,
    prepare: async () => ({ environment: { KEYTURN_DATABASE: `postgres://u:${SECRET}@127.0.0.1:1/x` } }),
  },
  {
    name: "tables of a newer version",
    code: 3,
    isOfDatabase: true,
    line: /^keyturn: The database has tables of version 999/,
    async prepare(place) {
      await place.run(["migrate"]);
      const database = await openDatabase({ url: String(place.settings.database) });
      await database.batch([
        sql`INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, 'x', 0)`,
      ]);
      await database.close();
      return undefined;
    },
  },
];

for (const { name, code, line, isOfDatabase, prepare } of crashes) {
  const skip =
    testEngine !== "sqlite" && isOfDatabase !== true && "it never comes to the database: run once, on SQLite";
  test(`a start that cannot be is one line and exit code ${code}: ${name}`, { skip }, () =>
    inPlace({}, async (place) => {
      const { environment = {}, args = [] } = (await prepare(place)) ?? {};
      const server = startProcess(["serve", "--port", "0", "--config", place.config, ...args], {
        cwd: place.folder,
        environment,
      });
      assert.equal(await server.exit, code, server.output.stderr);
      const { stdout, stderr } = server.output;
      assert.match(stderr, line);
      assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
      assert.equal(stdout, "");
      assert.ok(!stderr.includes(SECRET));
    }),
  );
}

test("a taken port is told before anything is made", () =>
  inPlace({}, async (place) => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const server = startProcess(["serve", "--port", String(port), "--config", place.config], {
      cwd: place.folder,
    });
    assert.equal(await server.exit, 2);
    other.close();
    assert.equal(
      server.output.stderr,
      `keyturn: PORT is ${port}, which another program listens on; it takes a free port, or 0.\n`,
    );
    assert.equal((await place.run(["user", "list"])).exitCode, 3, "no table was made");
  }));

test(
  "without a settings file the data folder holds all, for its owner alone",
  { skip: testEngine !== "sqlite" && "it is about the SQLite file" },
  () =>
    inPlace({}, async (place) => {
      const folder = join(place.folder, "fresh");
      mkdirSync(folder);
      const server = startProcess(["serve", "--port", "0"], { cwd: folder });
      await server.sees(LISTENS);
      server.child.kill("SIGTERM");
      assert.equal(await server.exit, 0);
      const data = join(folder, "data");
      assert.equal(statSync(data).mode & 0o777, 0o700);
      for (const name of ["secret", "keyturn.db"])
        assert.equal(statSync(join(data, name)).mode & 0o777, 0o600);
      assert.ok(!existsSync(join(data, "keyturn.db-wal")), "the log was moved into the file at the stop");
    }),
);

test("a reader that goes away ends neither a command nor a server with a stack trace", () =>
  inPlace({}, async (place) => {
    const help = startProcess(["user", "--help"], { cwd: place.folder });
    help.child.stdout?.destroy();
    assert.equal(await help.exit, 0);
    assert.equal(help.output.stderr, "");
    const server = serve(place);
    server.child.stdout?.destroy();
    await server.sees(/for development only/);
    server.child.kill("SIGTERM");
    assert.equal(await server.exit, 0);
  }));
