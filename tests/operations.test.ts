import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { openTestDatabase } from "../packages/server/src/storage/test-database.ts";
import { call, type KeyturnServer, startExample, startKeyturn } from "./keyturn-process.ts";
import { createStage, root } from "./stage.ts";

/** The incident steps of docs/operations.md, as they stand there, against a server and a guard in processes. */

const stage = createStage();
after(() => stage.clear());

let keyturn: KeyturnServer;
let api: string;
let guardEnvironment: Record<string, string>;

/** The commands of the section with that title, word by word. */
function commandsOf(title: string): string[][] {
  const guide = fs.readFileSync(path.join(root, "docs/operations.md"), "utf8");
  const section = guide.split(/^###? /m).find((one) => one.startsWith(`${title}\n`));
  assert.ok(section !== undefined, `docs/operations.md has no section "${title}"`);
  const blocks = [...section.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, text]) => text ?? "");
  const lines = blocks.flatMap((text) => text.trim().split("\n"));
  assert.ok(lines.length > 0, `"${title}" has no commands`);
  return lines.map((line) => {
    const [program, ...words] = line.split(/\s+/);
    assert.equal(program, "keyturn", `this test can run keyturn only, not: ${line}`);
    return words;
  });
}

/** Runs them in order; a word in capitals stands for each of the values that `values` gives at that moment. */
async function follow(title: string, values: Record<string, () => Promise<string[]>> = {}) {
  const answers = [];
  for (const words of commandsOf(title)) {
    const placeholder = words.find((word) => /^[A-Z_]+$/.test(word));
    const given = placeholder === undefined ? [""] : await values[placeholder]?.();
    assert.ok(given !== undefined && given.length > 0, `nothing to put for ${placeholder}`);
    for (const value of given) {
      answers.push(await keyturn.cli(words.map((word) => (word === placeholder ? value : word))));
    }
  }
  return answers;
}

const statusAt = async (token: string) => (await call(api, { token })).status;

async function refusedWithinASecond(token: string): Promise<void> {
  const until = performance.now() + 1000;
  while ((await statusAt(token)) !== 401) {
    assert.ok(performance.now() < until, "the guard still lets the token in a second after the steps");
  }
}

async function startApi(): Promise<void> {
  api = `${(await startExample(stage, "express/app.ts", guardEnvironment)).url}/protected`;
}

before(async () => {
  const place = await openTestDatabase({ empty: true });
  stage.onClear(() => place.close());
  keyturn = await startKeyturn(stage, { database: place.url });
  guardEnvironment = { KEYTURN_ISSUER: keyturn.issuer, ...(await keyturn.addResource("api")) };
  await startApi();
  await keyturn.register("alice");
  await keyturn.register("bob");
});

describe("the steps of docs/operations.md do what they say", () => {
  test("every section of the incidents with commands is tried here", () => {
    const guide = fs.readFileSync(path.join(root, "docs/operations.md"), "utf8");
    const incidents = guide.slice(guide.indexOf("\n## Incidents"));
    const titles = [...incidents.matchAll(/^### (.*)$/gm)].map(([, title]) => title);
    const own = fs.readFileSync(path.join(root, "tests/operations.test.ts"), "utf8");
    const missing = titles.filter((title) => !own.includes(`follow("${title}"`));
    assert.deepEqual(missing, []);
  });

  test("a refresh token, an access token or a cookie leaked: the session ends, and others go on", async () => {
    const [first, second] = [await keyturn.login("alice"), await keyturn.login("alice")];
    const other = await keyturn.login("bob");
    for (const { accessToken } of [first, second, other]) assert.equal(await statusAt(accessToken), 200);
    await follow("A refresh token, an access token or a cookie leaked", {
      SID: async () => [first.sessionId],
    });
    await Promise.all([first, second].map(({ accessToken }) => refusedWithinASecond(accessToken)));
    assert.equal((await keyturn.refresh(first.refreshToken)).json.reason, "revoked");
    assert.equal((await keyturn.refresh(second.refreshToken)).json.reason, "revoked");
    assert.equal(await statusAt(other.accessToken), 200);
    assert.deepEqual((await keyturn.cli(["session", "list", "--user", "alice"])).sessions, []);
  });

  test("the database leaked: everybody is signed out, and can sign in again", async () => {
    const signedIn = [await keyturn.login("alice"), await keyturn.login("bob")];
    for (const { accessToken } of signedIn) assert.equal(await statusAt(accessToken), 200);
    await follow("The database leaked");
    await Promise.all(signedIn.map(({ accessToken }) => refusedWithinASecond(accessToken)));
    for (const { refreshToken } of signedIn) {
      assert.equal((await keyturn.refresh(refreshToken)).json.reason, "revoked");
    }
    assert.deepEqual((await keyturn.cli(["session", "list"])).sessions, []);
    assert.equal(await statusAt((await keyturn.login("alice")).accessToken), 200);
  });

  test("a client's secret leaked: the old secret is refused, sessions of other clients go on", async () => {
    const added = await keyturn.cli(["client", "add", "Shop", "--id", "shop", "--type", "service"]);
    const token = (secret: string) =>
      fetch(`${keyturn.url}/oauth/token`, {
        method: "POST",
        headers: { authorization: `Basic ${Buffer.from(`shop:${secret}`).toString("base64")}` },
        body: new URLSearchParams({ grant_type: "client_credentials" }),
      });
    const before = await token(added.secret);
    assert.equal(before.status, 200, await before.clone().text());
    const person = await keyturn.login("alice");
    const [changed, ended] = await follow("A client's secret leaked");
    assert.equal(ended.count, 1);
    assert.equal((await token(added.secret)).status, 401);
    assert.equal((await token(changed.secret)).status, 200);
    assert.equal((await keyturn.call("/me", { token: person.accessToken })).status, 200);
  });

  test("an operator's laptop was stolen: the operator's sessions end, and the password is another", async () => {
    const { username, password } = keyturn.firstAdmin ?? { username: "", password: "" };
    const admin = await keyturn.login(username, "the laptop", password);
    assert.equal(await statusAt(admin.accessToken), 200);
    await follow("An operator's laptop was stolen");
    await refusedWithinASecond(admin.accessToken);
    const reply = await keyturn.call("/login", { json: { username, password } });
    assert.equal(reply.status, 401);
  });

  test("a signing key leaked: what it has signed is refused, nobody is signed out", async () => {
    const person = await keyturn.login("alice");
    assert.equal(await statusAt(person.accessToken), 200);
    const kid = JSON.parse(Buffer.from(person.accessToken.split(".")[0] ?? "", "base64url").toString()).kid;
    await follow("A signing key leaked", { RETIRING_KID: retiringKeys });
    assert.deepEqual(await retiringKeys(), []);
    await unpublished(kid);
    await startApi();
    assert.equal(await statusAt(person.accessToken), 401);
    const fresh = await keyturn.refresh(person.refreshToken);
    assert.equal(fresh.status, 200, JSON.stringify(fresh.json));
    assert.equal(await statusAt(fresh.json.accessToken), 200);
  });

  test("the master secret leaked: the new one alone serves, and everybody signs in again", async () => {
    const person = await keyturn.login("alice");
    const old = fs.readFileSync(path.join(keyturn.environment.KEYTURN_DATA ?? "", "secret"), "utf8").trim();
    const fresh = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
    await restartWith(`${fresh},${old}`);
    assert.equal((await keyturn.refresh(person.refreshToken)).status, 200);
    await follow("A signing key leaked", { RETIRING_KID: retiringKeys });
    await follow("The master secret leaked");
    await restartWith(fresh);
    assert.equal((await keyturn.refresh(person.refreshToken)).status, 401);
    await startApi();
    assert.equal(await statusAt((await keyturn.login("alice")).accessToken), 200);
  });
});

async function retiringKeys(): Promise<string[]> {
  const { keys } = await keyturn.cli(["key", "list"]);
  return keys
    .filter(({ state }: { state: string }) => state === "retiring")
    .map(({ id }: { id: string }) => id);
}

/** Running servers take it off their key set within five seconds. */
async function unpublished(kid: string): Promise<void> {
  const until = performance.now() + 8000;
  for (;;) {
    const { json } = await keyturn.call("/.well-known/jwks.json");
    if (!json.keys.some((key: { kid: string }) => key.kid === kid)) return;
    assert.ok(performance.now() < until, "the key is still published after eight seconds");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function restartWith(secret: string): Promise<void> {
  await keyturn.stop();
  keyturn.environment.KEYTURN_SECRET = secret;
  await keyturn.restart();
}
