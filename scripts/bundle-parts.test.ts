import assert from "node:assert/strict";
import { mkdtemp, readdir, rename, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import type { CredentialStorage, StoredCredentials } from "../packages/client/src/credential-storage.ts";
import { makeKeys } from "../packages/client/src/session-keys.ts";
import { apiUrl, createTestIssuer, issuerUrl } from "../packages/client/src/test-issuer.ts";

/**
 * The client as a page gets it, when of its files only the first can be had: the network is away, or a new version of
 * the page has taken the place of this one.
 */

const root = path.resolve(import.meta.dirname, "..");
let folder: string;
let entry: typeof import("../packages/client/src/index.ts");

before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "keyturn-bundle-"));
  await build({
    entryPoints: [path.join(root, "packages/client/src/index.ts")],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    splitting: true,
    outdir: folder,
    outExtension: { ".js": ".mjs" },
  });
  entry = await import(pathToFileURL(path.join(folder, "index.mjs")).href);
});

after(() => rm(folder, { recursive: true, force: true }));

/** Hides every file but the first, or shows them again. */
async function hideParts(isHidden: boolean): Promise<void> {
  for (const name of await readdir(folder)) {
    const shown = name.replace(/\.hidden$/, "");
    if (shown === "index.mjs") continue;
    await rename(path.join(folder, name), path.join(folder, isHidden ? `${shown}.hidden` : shown));
  }
}

beforeEach(() => hideParts(true));

async function openPage(options: { readonly nobody?: boolean } = {}) {
  const issuer = createTestIssuer(Date.now);
  const storage: CredentialStorage = entry.memoryStorage();
  const client = entry.createClient({
    issuer: issuerUrl,
    apis: [apiUrl],
    storage,
    async fetch(input, init) {
      const { url, method, headers, text } = await readRequest(new Request(input, init));
      return issuer.handle({ url, method, headers, text, json: text === "" ? {} : JSON.parse(text) });
    },
  });
  const ends: string[] = [];
  client.on("signedOut", ({ reason }) => ends.push(reason));
  if (!options.nobody) await storage.replace(issuerUrl, undefined, await startSession(issuer));
  const paths = () => issuer.requests.map(({ url }) => url.pathname);
  return { issuer, storage, client, ends, paths };
}

async function readRequest(request: Request) {
  const { method, headers } = request;
  return { url: new URL(request.url), method, headers, text: await request.text() };
}

/** A session with its keys, as another page has left it in the store. */
async function startSession(issuer: ReturnType<typeof createTestIssuer>): Promise<StoredCredentials> {
  const keys = await makeKeys({ subtle: crypto.subtle, extractable: false }, true);
  const thumbprint = issuer.thumbprint(keys.dpop?.publicKey ?? {});
  issuer.sessions.set("s0", { id: "s0", username: "alice", generation: 0, recent: [], thumbprint });
  const user = { id: "u", username: "alice", roles: [] };
  return { refreshToken: "krt_s0.0", sessionId: "s0", user, ...keys };
}

const alice = { username: "alice", password: "right" };

describe("with the first file alone", () => {
  test("who is signed in stays so: session, refresh, proofs, requests that are sent again for a nonce", async () => {
    const { client, issuer, paths } = await openPage();
    assert.equal((await client.session())?.user.username, "alice");
    issuer.nonce = "n1";
    issuer.apiNonce = "n2";
    assert.equal((await client.fetch(`${apiUrl}/me`)).status, 200);
    issuer.apiNonce = "n3";
    assert.equal((await client.fetch(`${apiUrl}/me`)).status, 200);
    assert.deepEqual(paths(), ["/refresh", "/refresh", "/me", "/me", "/me", "/me"]);
    assert.match(await client.accessToken(), /^\S+$/);
    assert.deepEqual(issuer.proofProblems, []);
  });

  test("signing out forgets all that is kept here, and says that the server was not told", async () => {
    const { client, storage, ends, issuer } = await openPage();
    assert.deepEqual(await client.signOut(), { told: false });
    assert.equal(await storage.read(issuerUrl), undefined);
    assert.deepEqual(ends, ["signed_out"]);
    await assert.rejects(client.accessToken(), { code: "signed_out" });
    assert.equal(issuer.only().endReason, undefined);
  });

  test("signing in is unavailable and changes nothing; when the part can be had, it works", async () => {
    const { client, storage, paths } = await openPage();
    await assert.rejects(client.signIn(alice), { name: "KeyturnError", code: "unavailable" });
    assert.deepEqual([paths(), (await storage.read(issuerUrl))?.sessionId], [[], "s0"]);
    await hideParts(false);
    assert.equal((await client.signIn(alice)).user.username, "alice");
    assert.deepEqual(await client.signOut(), { told: true });
  });

  test("cookie mode is unavailable until it can be loaded", async () => {
    const fetch = async () => Response.json({ error: "missing_session" }, { status: 401 });
    const client = entry.createClient({ issuer: issuerUrl, mode: "cookie", fetch });
    await assert.rejects(client.session(), { code: "unavailable" });
    await hideParts(false);
    assert.equal(await client.session(), undefined);
    client.close();
  });
});
