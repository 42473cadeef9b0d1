import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { argon2Sync, scryptSync } from "node:crypto";
import { after, describe, test } from "node:test";
import { promisify } from "node:util";
import { hashSync as bcryptHash } from "@node-rs/bcrypt";
import type { HashJob, HashReply } from "./hash-protocol.ts";
import type { HashThreads } from "./hash-threads.ts";
import { recogniseHash } from "./password-hashes.ts";
import { createPasswords } from "./password-hashing.ts";

const settings = { passwordMemoryKib: 7168, passwordPasses: 1, passwordHashesConcurrentMax: 1 };
const passwords = createPasswords({ settings });
after(() => passwords.close());

const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64").replaceAll("=", "");
const salt = Buffer.from("0123456789abcdef");

async function hashOf(password: string): Promise<string> {
  const hashed = await passwords.hash(password);
  assert.equal(hashed.outcome, "hashed");
  return hashed.outcome === "hashed" ? hashed.hash : "";
}

const match = (rehash: boolean) => ({ outcome: "match", rehash });
const mismatch = { outcome: "mismatch" };

describe("password hashing", () => {
  test("a new hash is an Argon2id PHC string with the parameters of the settings, and never the same twice", async () => {
    const first = await hashOf("correct horse");
    assert.match(first, /^\$argon2id\$v=19\$m=7168,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    assert.notEqual(first, await hashOf("correct horse"));
    assert.deepEqual(await passwords.verify("correct horse", first), match(false));
    assert.deepEqual(await passwords.verify("correct hors", first), mismatch);
    assert.deepEqual(await passwords.verify("", first), mismatch);
  });

  test("RFC 9106 §5.3: the Argon2id of the thread is the one of node:crypto", async () => {
    const parameters = {
      message: "pässwörd",
      nonce: salt,
      memory: 64,
      passes: 3,
      parallelism: 4,
      tagLength: 24,
    };
    for (const kind of ["argon2id", "argon2i", "argon2d"] as const) {
      const digest = argon2Sync(kind, parameters);
      const stored = `$${kind}$v=19$m=64,t=3,p=4$${b64(salt)}$${b64(digest)}`;
      assert.deepEqual(recogniseHash(stored), { ok: true, kind, cost: { memoryKib: 64, workKib: 192 } });
      assert.deepEqual(await passwords.verify("pässwörd", stored), match(true));
      assert.deepEqual(await passwords.verify("passwörd", stored), mismatch);
    }
  });

  test("a hash that is cheaper than the settings, in memory or passes, is to be replaced", async () => {
    const weak = createPasswords({ settings: { ...settings, passwordMemoryKib: 7169 } });
    const slow = createPasswords({ settings: { ...settings, passwordPasses: 2 } });
    const hash = await hashOf("correct horse");
    assert.deepEqual(await weak.verify("correct horse", hash), match(true));
    assert.deepEqual(await slow.verify("correct horse", hash), match(true));
    await Promise.all([weak.close(), slow.close()]);
  });

  test("RFC 7914: an scrypt hash from elsewhere verifies, also one of more than node's 32 MiB", async () => {
    for (const ln of [4, 16]) {
      const digest = scryptSync("pleaseletmein", salt, 32, { N: 2 ** ln, r: 8, p: 1, maxmem: 2 ** 28 });
      const stored = `$scrypt$ln=${ln},r=8,p=1$${b64(salt)}$${b64(digest)}`;
      assert.equal(recogniseHash(stored).ok, true);
      assert.deepEqual(await passwords.verify("pleaseletmein", stored), match(true));
      assert.deepEqual(await passwords.verify("pleaseletmeout", stored), mismatch);
    }
  });

  test("bcrypt hashes of all three letters verify, and are to be replaced", async () => {
    for (const version of ["2a", "2b", "2y"] as const) {
      const stored = bcryptHash("correct horse", { cost: 4, version });
      assert.equal(recogniseHash(stored).ok, true);
      assert.deepEqual(await passwords.verify("correct horse", stored), match(true));
      assert.deepEqual(await passwords.verify("wrong horse", stored), mismatch);
    }
  });

  test("bcrypt: a password of more than 72 bytes matches by its first 72, and then its hash is kept", async () => {
    const stored = bcryptHash(`${"x".repeat(72)}tail`, { cost: 4 });
    assert.deepEqual(await passwords.verify(`${"x".repeat(72)}slip`, stored), match(false));
    assert.deepEqual(await passwords.verify("x".repeat(71), stored), mismatch);
    const whole = bcryptHash("x".repeat(72), { cost: 4 });
    assert.deepEqual(await passwords.verify("x".repeat(72), whole), match(true));
  });

  test("a NUL counts like any other character", async () => {
    const ours = await hashOf("correct\0horse");
    assert.deepEqual(await passwords.verify("correct\0horse", ours), match(false));
    assert.deepEqual(await passwords.verify("correct\0house", ours), mismatch);
    const foreign = bcryptHash("correct", { cost: 4 });
    assert.deepEqual(await passwords.verify("correct\0horse", foreign), mismatch);
  });

  test("RFC 8265 §4.2.2: one password in two Unicode spellings is one password; ² is not 2", async () => {
    const composed = await hashOf("fa\u00e7ade12");
    assert.deepEqual(await passwords.verify("fac\u0327ade12", composed), match(false));
    const square = await hashOf("passwort²");
    assert.deepEqual(await passwords.verify("passwort2", square), mismatch);
  });

  test("what can be nobody's password is a mismatch after the same work", async () => {
    const hash = await hashOf("not a password");
    for (const text of ["\ud800".repeat(9), "x".repeat(1025), "é".repeat(600), "x".repeat(1_000_000)]) {
      assert.deepEqual(await passwords.verify(text, hash), mismatch);
      assert.deepEqual(await passwords.verifyNothing(text), mismatch);
      await assert.rejects(passwords.hash(text));
    }
  });

  test("verifying nothing is the same work as verifying a hash of the current parameters", async () => {
    const jobs: HashJob[] = [];
    const threads: HashThreads = {
      async run(job): Promise<HashReply> {
        jobs.push(job);
        return { digest: new Uint8Array(32) };
      },
      close: async () => {},
      count: () => 0,
      kill: async () => {},
    };
    const counted = createPasswords({ settings, threads });
    await counted.verify("correct horse", await hashOf("correct horse"));
    await counted.verifyNothing("correct horse");
    const work = jobs.map((job) => ({ ...job, salt: "salt" in job ? job.salt.length : 0 }));
    assert.equal(work.length, 2);
    assert.deepEqual(work[0], work[1]);
  });

  test("where no binary of @node-rs/argon2 loads, node:crypto makes and verifies the same hashes", async () => {
    const refuse = `import { registerHooks } from "node:module";
      registerHooks({ resolve: (name, context, next) => {
        if (name === "@node-rs/argon2") throw new Error("no binary here");
        return next(name, context);
      } });`;
    const program = `import { createPasswords } from ${JSON.stringify(new URL("password-hashing.ts", import.meta.url).href)};
      const loads = await import("@node-rs/argon2").then(() => true, () => false);
      const passwords = createPasswords({ settings: ${JSON.stringify(settings)} });
      const verified = await passwords.verify("correct horse", ${JSON.stringify(await hashOf("correct horse"))});
      console.log(JSON.stringify({ loads, verified, hashed: await passwords.hash("correct horse") }));
      await passwords.close();`;
    const hooks = `data:text/javascript,${encodeURIComponent(refuse)}`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", hooks, "-e", program]);
    const { loads, verified, hashed } = JSON.parse(stdout);
    assert.equal(loads, false);
    assert.deepEqual(verified, match(false));
    assert.deepEqual(await passwords.verify("correct horse", hashed.hash), match(false));
  });

  test("a stored text that is no hash is an error that does not repeat it", async () => {
    await assert.rejects(passwords.verify("correct horse", "plaintext-password"), (error: Error) => {
      assert.ok(!error.message.includes("plaintext-password"));
      return true;
    });
  });
});
