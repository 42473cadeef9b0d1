import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { StoredCredentials } from "./credential-storage.ts";
import { fileStorage } from "./node.ts";
import { issuerUrl } from "./test-issuer.ts";
import { createWorld, lostReply, signIn } from "./test-world.ts";

const folder = fs.mkdtempSync(path.join(tmpdir(), "keyturn-client-"));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
let files = 0;
const newFile = () => path.join(folder, `${files++}`, "credentials.json");

const record = (refreshToken: string): StoredCredentials => ({
  refreshToken,
  sessionId: "s0",
  user: { id: "u", username: "alice", roles: [] },
});
const modeOf = (file: string) => (fs.statSync(file).mode & 0o777).toString(8);
const namesBeside = (file: string) => fs.readdirSync(path.dirname(file));

describe("fileStorage", () => {
  test("makes what is missing, for its owner alone, and leaves nothing else behind", async () => {
    const file = newFile();
    const storage = fileStorage(file);
    assert.equal(await storage.read("a"), undefined);
    assert.equal(await storage.replace("a", undefined, record("1")), true);
    assert.deepEqual([modeOf(file), modeOf(path.dirname(file))], ["600", "700"]);
    assert.deepEqual(namesBeside(file), ["credentials.json"]);
    assert.deepEqual(await fileStorage(file).read("a"), record("1"));
  });

  test("replaces only what is still there, and keeps the records of other issuers", async () => {
    const storage = fileStorage(newFile());
    await storage.replace("b", undefined, record("other"));
    assert.equal(await storage.replace("a", "1", record("2")), false);
    assert.equal(await storage.replace("a", undefined, record("1")), true);
    assert.equal(await storage.replace("a", undefined, record("2")), false);
    assert.equal(await storage.replace("a", "1", record("2")), true);
    assert.equal(await storage.replace("a", "1", undefined), false);
    assert.equal(await storage.replace("a", "2", undefined), true);
    assert.equal(await storage.read("a"), undefined);
    assert.equal((await storage.read("b"))?.refreshToken, "other");
  });

  for (const mode of [0o640, 0o604, 0o660, 0o644]) {
    test(`refuses a file of mode ${mode.toString(8)}, for reading and for writing`, async () => {
      const file = newFile();
      const storage = fileStorage(file);
      await storage.replace("a", undefined, record("1"));
      fs.chmodSync(file, mode);
      await assert.rejects(storage.read("a"), { code: "insecure_storage" });
      await assert.rejects(storage.replace("a", "1", record("2")), { code: "insecure_storage" });
      assert.deepEqual(namesBeside(file), ["credentials.json"], "the lock is given back");
    });
  }

  test("a client with such a file sends no password", async () => {
    const world = createWorld();
    const file = newFile();
    await fileStorage(file).replace("a", undefined, record("1"));
    fs.chmodSync(file, 0o644);
    const { client } = world.openTab({ storage: fileStorage(file) });
    await assert.rejects(client.signIn({ username: "a", password: "right" }), { code: "insecure_storage" });
    assert.equal(world.issuer.requests.length, 0);
  });

  test("a crash between writing and renaming leaves the old record, and the next change works", async () => {
    const file = newFile();
    const storage = fileStorage(file);
    await storage.replace("a", undefined, record("1"));
    fs.writeFileSync(`${file}.new`, '{"a":{"refreshToken":"ha', { mode: 0o644 });
    assert.equal((await storage.read("a"))?.refreshToken, "1");
    assert.equal(await storage.replace("a", "1", record("2")), true);
    assert.deepEqual([modeOf(file), namesBeside(file)], ["600", ["credentials.json"]]);
  });

  test("a lock of a process that died is taken at once", async () => {
    const file = newFile();
    const storage = fileStorage(file);
    await storage.replace("a", undefined, record("1"));
    const child = spawn(process.execPath, ["-e", ""]);
    await once(child, "close");
    fs.writeFileSync(`${file}.lock`, `${child.pid} gone`);
    const startedAt = performance.now();
    assert.equal(await storage.replace("a", "1", record("2")), true);
    assert.ok(performance.now() - startedAt < 1000);
    assert.deepEqual(namesBeside(file), ["credentials.json"]);
  });

  test("what is no JSON, or not of this shape, is no record; its words are in no error", async () => {
    const file = newFile();
    const storage = fileStorage(file);
    await storage.replace("b", undefined, record("1"));
    fs.writeFileSync(file, '{"a":{"refreshToken":7},"c":"krt_secret"}');
    assert.equal(await storage.read("a"), undefined);
    assert.equal(await storage.replace("a", undefined, record("1")), true);
    fs.writeFileSync(file, "krt_secret");
    await assert.rejects(storage.read("a"), (error: Error) => {
      assert.doesNotMatch(`${error.message} ${error.stack} ${error.cause}`, /krt_/);
      return true;
    });
  });

  test("of 40 changes at once from one record, one happens", async () => {
    const storage = fileStorage(newFile());
    await storage.replace("a", undefined, record("0"));
    const changes = Array.from({ length: 40 }, (_, index) => storage.replace("a", "0", record(`n${index}`)));
    assert.equal((await Promise.all(changes)).filter((isDone) => isDone).length, 1);
  });

  test("three processes that count in one file lose no count", async () => {
    const file = newFile();
    await fileStorage(file).replace("a", undefined, record("0"));
    const entry = fileURLToPath(new URL("./node.ts", import.meta.url));
    const script = `
      import { fileStorage } from ${JSON.stringify(entry)};
      const storage = fileStorage(${JSON.stringify(file)});
      for (let count = 0; count < 25; ) {
        const stored = await storage.read("a");
        const next = { ...stored, refreshToken: String(Number(stored.refreshToken) + 1) };
        if (await storage.replace("a", stored.refreshToken, next)) count++;
      }`;
    const flags = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", script];
    const codes = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const child = spawn(process.execPath, flags, { stdio: ["ignore", "ignore", "inherit"] });
        const [code] = await once(child, "close");
        return code;
      }),
    );
    assert.deepEqual(codes, [0, 0, 0]);
    assert.equal((await fileStorage(file).read("a"))?.refreshToken, "75");
    assert.deepEqual(namesBeside(file), ["credentials.json"]);
  });

  test("a session in it survives the process, with its keys: a lost reply is asked for again by the next one", async () => {
    const world = createWorld();
    world.issuer.nonce = "n";
    const file = newFile();
    const first = world.openTab({ dpop: true, storage: fileStorage(file) });
    await first.client.signIn({ username: "alice", password: "right" });
    await world.timeline.advance(700_000);
    world.network = lostReply;
    const losing = first.client.accessToken().catch(() => {});
    while (world.issuer.turns === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    first.client.close();
    await losing;
    await world.timeline.advance(3_600_000);
    world.network = (request, deliver) => deliver(request);
    const second = world.openTab({ storage: fileStorage(file) });
    await second.client.accessToken();
    assert.deepEqual([second.events, world.issuer.turns], [["refreshed alice"], 1]);
    const [stored] = Object.values(JSON.parse(fs.readFileSync(file, "utf8"))) as [StoredCredentials];
    assert.equal((stored.deviceKey as { k: string }).k.length, 43, "32 bytes");
  });
});

describe("a storage that fails", () => {
  test("when the successor cannot be written, it is kept, used, and written later", async () => {
    const world = createWorld();
    const { memoryStorage } = await import("./memory-storage.ts");
    const inner = memoryStorage();
    let isFull = false;
    const storage = {
      ...inner,
      replace: (...parameters: Parameters<typeof inner.replace>) =>
        isFull ? Promise.reject(new Error("disk full")) : inner.replace(...parameters),
    };
    const tab = world.openTab({ storage });
    await signIn(world, tab);
    isFull = true;
    for (let turn = 0; turn < 8; turn++) {
      await world.timeline.advance(700_000);
      assert.equal(await world.whoAmI(tab.client), "alice");
    }
    assert.equal((await inner.read(issuerUrl))?.refreshToken, "krt_s0.0");
    isFull = false;
    await world.timeline.advance(700_000);
    assert.equal(await world.whoAmI(tab.client), "alice");
    assert.equal((await inner.read(issuerUrl))?.refreshToken, "krt_s0.9");
  });

  test("when it cannot be read nobody is signed out, and a sign-out works all the same", async () => {
    const world = createWorld();
    const { memoryStorage } = await import("./memory-storage.ts");
    const inner = memoryStorage();
    let isBroken = false;
    const fail = () => Promise.reject(new Error("broken"));
    const storage = {
      ...inner,
      read: (key: string) => (isBroken ? fail() : inner.read(key)),
      replace: (...parameters: Parameters<typeof inner.replace>) =>
        isBroken ? fail() : inner.replace(...parameters),
    };
    const tab = world.openTab({ storage });
    await signIn(world, tab);
    isBroken = true;
    await world.timeline.advance(700_000);
    await assert.rejects(world.timeline.run(tab.client.accessToken()), { code: "unavailable" });
    assert.deepEqual(tab.events, ["signedIn alice"]);
    assert.deepEqual(await world.timeline.run(tab.client.signOut()), { told: true });
    assert.equal(await tab.client.session(), undefined);
    isBroken = false;
    assert.equal(await tab.client.session(), undefined);
    assert.equal(await inner.read(issuerUrl), undefined);
  });
});
