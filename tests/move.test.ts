import assert from "node:assert/strict";
import path from "node:path";
import { after, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { type Client, createClient } from "@keyturn/client";
import { fileStorage } from "@keyturn/client/node";
import { openDatabase } from "../packages/server/src/storage/open.ts";
import { openTestDatabase } from "../packages/server/src/storage/test-database.ts";
import { type KeyturnServer, keyturnScript, password, startKeyturn } from "./keyturn-process.ts";
import { createStage, root, untilTrue } from "./stage.ts";

/** `keyturn move` on a server that real clients are using: to the engine of this run, and back to a file. */

const stage = createStage();
after(() => stage.clear());

const CLIENTS = 6;
const API = "/an-api";

/** Clients that refresh without a rest, and note whatever befalls them. */
async function openClients(server: KeyturnServer) {
  const troubles: string[] = [];
  const turns: number[] = [];
  let isRunning = true;
  const clients: Client[] = [];
  for (let number = 0; number < CLIENTS; number++) {
    const username = `user${number}`;
    await server.register(username);
    const client = createClient({
      issuer: server.url,
      storage: fileStorage(path.join(stage.folder(), "credentials.json")),
      dpop: false,
      device: "a test",
      // An API that refuses every token: the client refreshes, and is busy with that for as long as it is told to wait.
      fetch: async (input, init) =>
        String(input instanceof Request ? input.url : input).endsWith(API)
          ? new Response(null, { status: 401 })
          : fetch(input, init),
    });
    stage.onClear(() => client.close());
    client.on("signedOut", ({ reason }) => troubles.push(`${username} was signed out: ${reason}`));
    client.on("refreshed", () => {
      turns[number] = (turns[number] ?? 0) + 1;
    });
    await client.signIn({ username, password });
    clients.push(client);
  }
  const loops = clients.map(async (client) => {
    while (isRunning) {
      await client.fetch(server.url + API).catch((error: { code?: string }) => {
        if (error.code === "signed_out") troubles.push("a client holds nothing any more");
      });
      await wait(5);
    }
  });
  stage.onClear(() => {
    isRunning = false;
  });
  return {
    troubles,
    turns: () => [...turns],
    async stop() {
      isRunning = false;
      await Promise.all(loops);
    },
  };
}

/** Raw refreshes beside the clients: each token once, each 503 asked again, as a client would. */
function turnOn(server: KeyturnServer, first: string) {
  let token = first;
  let isRunning = true;
  let turns = 0;
  const busy: { error: string; after: string | null }[] = [];
  const troubles: string[] = [];
  const loop = (async () => {
    while (isRunning) {
      const reply = await server.refresh(token, `attempt of ${token.slice(-12)}`).catch(() => undefined);
      if (reply === undefined) await wait(20);
      else if (reply.status === 200) {
        token = reply.json.refreshToken;
        turns += 1;
      } else if (reply.status === 503) {
        busy.push({ error: reply.json.error, after: reply.headers.get("retry-after") });
        await wait(20);
      } else {
        troubles.push(JSON.stringify(reply.json));
        return;
      }
    }
  })();
  // Also when its test fails: it would keep the file alive.
  stage.onClear(() => {
    isRunning = false;
  });
  return {
    busy,
    troubles,
    turns: () => turns,
    async stop() {
      isRunning = false;
      await loop;
      return token;
    },
  };
}

const moveTo = (server: KeyturnServer, to: string) =>
  stage.run(keyturnScript, ["move", "--to", "-", "--json"], { environment: server.environment, input: to });

test("a server is moved under load to another database and back: nobody is signed out, and a thief is still caught", async () => {
  const elsewhere = await openTestDatabase({ empty: true });
  stage.onClear(() => elsewhere.close());
  const folder = stage.folder();
  const addresses = [elsewhere.url, `sqlite:${path.join(folder, "back.db")}`];
  const first = `sqlite:${path.join(folder, "first.db")}`;
  // Tokens that last for a moment: the clients refresh all the time.
  const server = await startKeyturn(stage, {
    database: first,
    environment: { KEYTURN_ACCESS_TOKEN_SECONDS: "60", KEYTURN_REFRESH_GRACE_SECONDS: "0" },
  });
  const clients = await openClients(server);
  await server.register("alice");
  const tokens = await Promise.all(Array.from({ length: 8 }, () => server.login("alice")));
  const stolen = await server.login("alice");
  let held = tokens.map(({ refreshToken }) => refreshToken);
  const used = await server.refresh(stolen.refreshToken);

  for (const address of addresses) {
    const runners = held.map((token) => turnOn(server, token));
    await untilTrue(10, () => runners.every((runner) => runner.turns() > 3), "nothing turned");
    const done = await moveTo(server, address);
    assert.equal(done.code, 0, done.stderr);
    const { tables, pausedSeconds } = JSON.parse(done.stdout) as {
      tables: { table: string; rows: number; digest: string; targetRows: number; targetDigest: string }[];
      pausedSeconds: number;
    };
    for (const { table, rows, digest, targetRows, targetDigest } of tables)
      assert.deepEqual([targetRows, targetDigest], [rows, digest], table);
    assert.equal(tables.find(({ table }) => table === "sessions")?.rows, CLIENTS + 9);
    assert.ok(pausedSeconds < 20, `${pausedSeconds}`);
    // The old one takes nothing more: whatever is asked of it is to be asked again.
    await untilTrue(10, () => runners.every(({ busy }) => busy.length > 0), "the source still takes writes");
    const turnsAtEnd = runners.map((runner) => runner.turns());
    await wait(100);
    assert.deepEqual(
      runners.map((runner) => runner.turns()),
      turnsAtEnd,
    );
    for (const { busy } of runners)
      for (const one of busy) assert.deepEqual([one.error, one.after], ["busy", "2"]);
    await server.stop();
    const old = await stage.run(keyturnScript, ["serve"], { environment: server.environment });
    assert.equal(old.code, 3, "no server starts on what was moved away");
    assert.match(old.stderr, /was moved to .*keyturn move --resume/);

    server.environment.KEYTURN_DATABASE = address;
    await server.restart();
    await untilTrue(
      20,
      () => runners.every((runner, index) => runner.turns() > Number(turnsAtEnd[index]) + 3),
      "a client did not go on",
    );
    held = await Promise.all(runners.map((runner) => runner.stop()));
    for (const { troubles } of runners) assert.deepEqual(troubles, []);
  }
  await clients.stop();
  assert.ok(clients.turns().length === CLIENTS, "each client turned");
  assert.deepEqual(clients.troubles, []);

  // What was used before both moves is caught after them.
  assert.equal((await server.refresh(used.json.refreshToken)).status, 200);
  const caught = await server.refresh(stolen.refreshToken);
  assert.deepEqual([caught.status, caught.json.reason], [401, "reused"]);
});

test("a mover that is killed at any moment leaves a server that goes on, and the next one completes the move", async () => {
  const folder = stage.folder();
  const from = `sqlite:${path.join(folder, "from.db")}`;
  const to = `sqlite:${path.join(folder, "to.db")}`;
  const server = await startKeyturn(stage, { database: from });
  await server.register("alice");
  const { refreshToken } = await server.login("alice");
  const runner = turnOn(server, refreshToken);
  const goesOn = async () => {
    const turns = runner.turns();
    await untilTrue(10, () => runner.turns() > turns + 3, "the server does not go on");
  };
  for (const moment of ["copy 20", "paused"]) {
    const mover = stage.start(path.join(root, "packages/server/src/storage/moving/test-mover-process.ts"), [
      from,
      to,
      moment,
    ]);
    await mover.says(/here/);
    await mover.kill();
    if (!moment.startsWith("copy")) {
      const busy = runner.busy.length;
      await untilTrue(10, () => runner.busy.length > busy, "writes are not paused");
      // The time of its lease passes.
      const source = await openDatabase({ url: from });
      const text = "UPDATE schema_migrations SET applied_at = 1 WHERE version = 1000000";
      await source.batch([{ sql: text, text, values: [] }]);
      await source.close();
    }
    await goesOn();
  }
  const early = await stage.run(keyturnScript, ["serve"], {
    environment: { ...server.environment, KEYTURN_DATABASE: to, PORT: "0" },
  });
  assert.equal(early.code, 3);
  assert.match(early.stderr, /half-made target/);
  const done = await moveTo(server, to);
  assert.equal(done.code, 0, done.stderr);
  const back = await stage.run(keyturnScript, ["move", "--resume"], { environment: server.environment });
  assert.equal(back.code, 0, back.stderr);
  await goesOn();
  await runner.stop();
  assert.deepEqual(runner.troubles, []);
});
