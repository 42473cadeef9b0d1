import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { type Client, type ClientOptions, createClient } from "@keyturn/client";
import { fileStorage } from "@keyturn/client/node";
import { type KeyturnServer, password, startKeyturn } from "./keyturn-process.ts";
import { createStage, untilTrue } from "./stage.ts";

/** @keyturn/client in Node against a real server. */

const stage = createStage();
after(() => stage.clear());

let server: KeyturnServer;
let users = 0;
const newFile = () => path.join(stage.folder(), "credentials.json");

before(async () => {
  // The grace is over at once, so that a thief is a thief.
  const environment = { KEYTURN_REFRESH_GRACE_SECONDS: "0", KEYTURN_ACCESS_TOKEN_SECONDS: "60" };
  server = await startKeyturn(stage, { environment });
});

function open(file: string, options: Partial<ClientOptions> = {}) {
  const refreshes: string[] = [];
  const client = createClient({
    issuer: server.url,
    storage: fileStorage(file),
    dpop: false,
    device: "a test",
    ...options,
    fetch: (input, init) => {
      const url = String(input instanceof Request ? input.url : input);
      if (url.endsWith("/refresh")) refreshes.push(url);
      return (options.fetch ?? fetch)(input, init);
    },
  });
  stage.onClear(() => client.close());
  const events: string[] = [];
  client.on("signedIn", () => events.push("signedIn"));
  client.on("signedOut", ({ reason }) => events.push(`signedOut ${reason}`));
  return { client, events, refreshes };
}

/** A user of its own, signed in by a client whose credentials are in the file. */
async function signIn(file = newFile()) {
  const username = `user${users++}`;
  await server.register(username);
  const opened = open(file);
  const session = await opened.client.signIn({ username, password });
  assert.equal(session.user.username, username);
  return { file, username, session, ...opened };
}

async function whoAmI(client: Client): Promise<string> {
  const response = await client.fetch(`${server.url}/me`);
  assert.equal(response.status, 200);
  return ((await response.json()) as { username: string }).username;
}

async function devicesOf(client: Client) {
  const response = await client.fetch(`${server.url}/sessions`);
  return ((await response.json()) as { sessions: { id: string; device: string }[] }).sessions;
}

const storedToken = (file: string): string => {
  const [record] = Object.values(JSON.parse(fs.readFileSync(file, "utf8"))) as { refreshToken: string }[];
  return record?.refreshToken ?? "";
};

test("who signs in is known to the API, to the device list, and to the next process", async () => {
  const { client, file, username, session, refreshes } = await signIn();
  assert.equal(await whoAmI(client), username);
  const devices = (await devicesOf(client)).map(({ device, id }) => [device, id]);
  assert.deepEqual(devices, [["a test", session.sessionId]]);
  assert.equal(refreshes.length, 0);
  const later = open(file);
  assert.deepEqual(await later.client.session(), session);
  assert.equal(await whoAmI(later.client), username);
});

test("a wrong password is invalid_credentials, and nobody is signed in", async () => {
  const { username } = await signIn();
  const { client } = open(newFile());
  await assert.rejects(client.signIn({ username, password: "wrong" }), {
    code: "invalid_credentials",
    status: 401,
  });
  assert.equal(await client.session(), undefined);
});

test("20 calls at once over a token that is over make one turn, and all are answered", async () => {
  const { file, username } = await signIn();
  const { client, refreshes } = open(file);
  const names = await Promise.all(Array.from({ length: 20 }, () => whoAmI(client)));
  assert.deepEqual([new Set(names), refreshes.length], [new Set([username]), 1]);
});

test("10 clients on one file turn 20 times, all at once, without a grace: nobody is signed out", async () => {
  const { file, username } = await signIn();
  for (let turn = 0; turn < 20; turn++) {
    const opened = Array.from({ length: 10 }, () => open(file));
    const names = await Promise.all(opened.map(({ client }) => whoAmI(client)));
    assert.deepEqual(new Set(names), new Set([username]));
    for (const { client, events } of opened) {
      assert.deepEqual(events, []);
      client.close();
    }
  }
});

test("two processes share a file, turn at the same time, and nobody is signed out", async () => {
  const { file, username, client } = await signIn();
  const script = path.join(stage.folder(), "process.mjs");
  fs.writeFileSync(
    script,
    `import { createClient } from ${JSON.stringify(import.meta.resolve("@keyturn/client"))};
     import { fileStorage } from ${JSON.stringify(import.meta.resolve("@keyturn/client/node"))};
     const issuer = ${JSON.stringify(server.url)};
     for (let turn = 0; turn < 15; turn++) {
       const client = createClient({ issuer, storage: fileStorage(${JSON.stringify(file)}), dpop: false });
       client.on("signedOut", ({ reason }) => console.log(reason));
       const response = await client.fetch(issuer + "/me");
       console.log(response.status, (await response.json()).username);
       client.close();
     }
    `,
  );
  const ended = await Promise.all([stage.run(script), stage.run(script)]);
  for (const { code, stdout, stderr } of ended) {
    assert.equal(code, 0, stderr);
    assert.deepEqual(new Set(stdout.trim().split("\n")), new Set([`200 ${username}`]));
  }
  assert.equal(await whoAmI(client), username);
});

test("a lost reply is asked for again, by the next process too", async () => {
  const { file, username } = await signIn();
  let closing: Client | undefined;
  const losing: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    if (!String(input).endsWith("/refresh")) return response;
    await response.arrayBuffer();
    closing?.close();
    throw new TypeError("fetch failed");
  };
  const first = open(file, { fetch: losing });
  closing = first.client;
  await assert.rejects(first.client.accessToken(), { code: "unavailable" });
  assert.equal(await whoAmI(open(file).client), username);
});

test("a session that the operator ended is over: revoked", async () => {
  const { client, events, file, session } = await signIn();
  await server.cli(["session", "revoke", session.sessionId]);
  assert.equal((await client.fetch(`${server.url}/me`)).status, 401);
  assert.deepEqual(events, ["signedIn", "signedOut revoked"]);
  assert.equal(await open(file).client.session(), undefined);
});

test("a thief who presents an old token ends the session: reused", async () => {
  const { file, client, events } = await signIn();
  const stolen = storedToken(file);
  await whoAmI(open(file).client);
  // No grace forgives the same millisecond, and no more.
  await new Promise((resolve) => setTimeout(resolve, 2));
  const thief = await server.refresh(stolen);
  assert.deepEqual([thief.status, thief.json.reason], [401, "reused"]);
  await assert.rejects(open(file).client.accessToken(), { code: "signed_out", reason: "reused" });
  assert.equal((await client.fetch(`${server.url}/me`)).status, 401);
  assert.equal(events.at(-1), "signedOut missing", "another client has emptied the file");
});

test("signing out ends the session at the server; everywhere, those of other devices too", async () => {
  const { client, session, username } = await signIn();
  const { client: other } = open(newFile());
  await other.signIn({ username, password });
  assert.deepEqual(await client.signOut(), { told: true });
  const tokens = await server.login(username);
  const ids = async () =>
    (await server.call("/sessions", { token: tokens.accessToken })).json.sessions.map(
      ({ id }: { id: string }) => id,
    );
  assert.ok(!(await ids()).includes(session.sessionId));
  assert.deepEqual(await other.signOut({ everywhere: true }), { told: true });
  assert.equal((await server.call("/me", { token: tokens.accessToken })).status, 401);
});

test("signing in over a session ends that one", async () => {
  const { file, username, session } = await signIn();
  const { client } = open(file);
  await client.signIn({ username, password });
  await untilTrue(
    5,
    async () => {
      return (await devicesOf(client)).every(({ id }) => id !== session.sessionId);
    },
    "the old session was not ended",
  );
});

test("a server that is stopped, killed and started again signs nobody out", async () => {
  const signedIn = await Promise.all(Array.from({ length: 3 }, () => signIn()));
  await server.stop();
  const clients = signedIn.map(({ file, username }) => ({ username, ...open(file) }));
  const waiting = clients.map(({ client }) => whoAmI(client));
  await new Promise((resolve) => setTimeout(resolve, 300));
  await server.restart();
  assert.deepEqual(
    await Promise.all(waiting),
    clients.map(({ username }) => username),
  );
  await server.kill();
  await server.restart();
  for (const { file, username } of signedIn) {
    const { client, events } = open(file);
    assert.equal(await whoAmI(client), username);
    assert.deepEqual(events, []);
  }
});

test("after close() nothing keeps a process alive", async () => {
  const { file } = await signIn();
  const script = path.join(stage.folder(), "closing.mjs");
  fs.writeFileSync(
    script,
    `import { createClient } from ${JSON.stringify(import.meta.resolve("@keyturn/client"))};
     import { fileStorage } from ${JSON.stringify(import.meta.resolve("@keyturn/client/node"))};
     const storage = { ...fileStorage(${JSON.stringify(file)}), sharedByTabs: true };
     // Nobody answers there, so that a refresh is in the air.
     const client = createClient({ issuer: ${JSON.stringify(server.url)}, storage, dpop: false, fetch: () => new Promise(() => {}) });
     const getting = client.accessToken().catch((error) => console.log(error.code));
     await new Promise((resolve) => setTimeout(resolve, 200));
     client.close();
     await getting;
     console.log("closed", Math.round(performance.now()));
     process.on("exit", () => console.log("gone", Math.round(performance.now())));
    `,
  );
  const { code, stdout } = await stage.run(script);
  const [, closed = "0", gone = "99999"] = /closed (\d+)\s+gone (\d+)/.exec(stdout) ?? [];
  assert.equal(code, 0);
  assert.match(stdout, /^unavailable\n/);
  assert.ok(Number(gone) - Number(closed) < 500, stdout);
});
