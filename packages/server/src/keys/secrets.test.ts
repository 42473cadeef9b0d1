import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import fc from "fast-check";
import { WrongSetting } from "../config.ts";
import { createSecrets, hkdfSha256, loadMasterSecrets } from "./secrets.ts";

const first = Buffer.alloc(32, 1);
const second = Buffer.alloc(32, 2);
const encoded = (bytes: Buffer) => bytes.toString("base64url");

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "keyturn-secrets-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("RFC 5869 Appendix A: HKDF with SHA-256 gives the published output", () => {
  const range = (from: number, to: number) =>
    Buffer.from(Array.from({ length: to - from + 1 }, (_, i) => from + i));
  const vectors = [
    {
      secret: Buffer.alloc(22, 0x0b),
      salt: range(0x00, 0x0c),
      info: range(0xf0, 0xf9),
      output: "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    },
    {
      secret: range(0x00, 0x4f),
      salt: range(0x60, 0xaf),
      info: range(0xb0, 0xff),
      output:
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    },
    {
      secret: Buffer.alloc(22, 0x0b),
      salt: Buffer.alloc(0),
      info: Buffer.alloc(0),
      output: "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    },
  ];
  for (const { secret, salt, info, output } of vectors) {
    assert.equal(hkdfSha256({ secret, salt, info, bytes: output.length / 2 }).toString("hex"), output);
  }
});

test("a key is HKDF of the master secret with its purpose as info, and no two purposes share one", () => {
  const secrets = createSecrets([first]);
  const refresh = secrets.refreshKeys.byId.get(secrets.refreshKeys.currentId);
  const keys = [refresh?.chain, refresh?.tag, secrets.key("attempt-key"), secrets.key("rate-limit")];
  const exported = keys.map((key) => key?.export().toString("hex"));
  assert.equal(new Set(exported).size, 4);
  assert.equal(
    exported[3],
    hkdfSha256({ secret: first, info: "keyturn v1 rate-limit", bytes: 32 }).toString("hex"),
  );
  assert.ok(exported.every((key) => key?.length === 64 && key !== first.toString("hex")));
});

test("every node derives the same keys and ids from the same secrets", () => {
  const [here, there] = [createSecrets([first, second]), createSecrets([first, second])];
  assert.deepEqual([...here.refreshKeys.byId.keys()], [...there.refreshKeys.byId.keys()]);
  for (const [id, keys] of here.refreshKeys.byId) {
    assert.ok(id >= 0 && id <= 255);
    assert.ok(there.refreshKeys.byId.get(id)?.chain.equals(keys.chain));
    assert.ok(there.refreshKeys.byId.get(id)?.tag.equals(keys.tag));
  }
});

test("a changed master secret: new tokens carry the new id, the old keys are still there", () => {
  const before = createSecrets([second]);
  const after = createSecrets([first, second]);
  const oldId = before.refreshKeys.currentId;
  assert.notEqual(after.refreshKeys.currentId, oldId);
  assert.ok(after.refreshKeys.byId.get(oldId)?.tag.equals(before.refreshKeys.byId.get(oldId)!.tag));
  assert.ok(after.key("attempt-key", oldId).equals(before.key("attempt-key")));
  assert.ok(!after.key("attempt-key").equals(before.key("attempt-key")));
});

test("two master secrets with one id are refused, as a token could not say which one made it", () => {
  assert.throws(
    () => createSecrets([first, first]),
    (error) => error instanceof WrongSetting && /KEYTURN_SECRET.*one-byte id/.test(error.message),
  );
});

test("a sealed text opens in its context, and says which secret closed it", () => {
  const old = createSecrets([second]);
  const both = createSecrets([first, second]);
  const sealed = old.seal(Buffer.from("private"), "signing-key:a");
  assert.equal(both.unseal(sealed, "signing-key:a")?.toString(), "private");
  assert.equal(both.isSealedByCurrent(sealed), false);
  assert.equal(both.isSealedByCurrent(both.seal(Buffer.from("private"), "signing-key:a")), true);
  assert.equal(createSecrets([first]).unseal(sealed, "signing-key:a"), undefined);
  assert.equal(sealed.length, 2 + 12 + "private".length + 16);
  assert.notDeepEqual(old.seal(Buffer.from("private"), "signing-key:a"), sealed, "a nonce was used twice");
});

test("NIST SP 800-38D: any flipped bit, any cut and any other context keeps a sealed text closed", () => {
  const secrets = createSecrets([first, second]);
  const bytes = fc.uint8Array({ maxLength: 200 });
  fc.assert(
    fc.property(bytes, fc.string(), fc.string(), fc.nat(), (plaintext, context, other, position) => {
      const sealed = secrets.seal(plaintext, context);
      assert.deepEqual(secrets.unseal(sealed, context), Buffer.from(plaintext));
      if (other !== context) assert.equal(secrets.unseal(sealed, other), undefined);
      assert.equal(secrets.unseal(sealed.subarray(0, position % sealed.length), context), undefined);
      const bit = position % (sealed.length * 8);
      const damaged = Buffer.from(sealed);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(secrets.unseal(damaged, context), undefined);
    }),
    { numRuns: 300 },
  );
});

test("the setting wins over the file; several secrets keep their order", (t) => {
  const folder = temporaryFolder(t);
  const masters = loadMasterSecrets(`${encoded(first)}, ${encoded(second)}`, join(folder, "secret"));
  assert.deepEqual(masters, [first, second]);
  assert.deepEqual(readdirSync(folder), []);
});

test("a wrong secret stops the start with a line that names the setting and never shows the secret", (t) => {
  const file = join(temporaryFolder(t), "secret");
  const short = Buffer.from("topsecret").toString("base64url");
  const wrong = [
    short,
    "",
    `${encoded(first)},`,
    `${encoded(first)}=`,
    "not+base64url/not+base64url/not+base64url/abcd",
  ];
  for (const setting of [...wrong, Array(9).fill(encoded(first)).join(",")]) {
    assert.throws(
      () => loadMasterSecrets(setting, file),
      (error) => {
        assert.ok(error instanceof WrongSetting);
        assert.match(error.message, /^KEYTURN_SECRET: /);
        assert.ok(!error.message.includes("\n"));
        for (const part of setting.split(",")) assert.ok(part === "" || !error.message.includes(part));
        return true;
      },
    );
  }
});

test("without a setting the secret is made once, in a file of mode 0600", (t) => {
  const folder = join(temporaryFolder(t), "data");
  const file = join(folder, "secret");
  const made = loadMasterSecrets(undefined, file);
  assert.equal(made.length, 1);
  assert.equal(made[0]?.length, 32);
  assert.deepEqual(loadMasterSecrets(undefined, file), made);
  assert.deepEqual(readdirSync(folder), ["secret"]);
  if (process.platform !== "win32") assert.equal(statSync(file).mode & 0o777, 0o600);
});

test("processes that start together agree on one secret", async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, "secret");
  const program = `
    import { loadMasterSecrets } from ${JSON.stringify(new URL("./secrets.ts", import.meta.url).href)};
    process.stdout.write(loadMasterSecrets(undefined, process.argv[1])[0].toString("hex"));`;
  const start = () => promisify(execFile)(process.execPath, ["--input-type=module", "-e", program, file]);
  const outputs = (await Promise.all([start(), start(), start()])).map((one) => one.stdout);
  assert.equal(new Set(outputs).size, 1);
  assert.equal(outputs[0], Buffer.from(readFileSync(file, "utf8").trim(), "base64url").toString("hex"));
  assert.deepEqual(readdirSync(folder), ["secret"]);
});

test("a secret's file that others can read is refused", {
  skip: process.platform === "win32" && "no modes",
}, (t) => {
  const file = join(temporaryFolder(t), "secret");
  loadMasterSecrets(undefined, file);
  for (const mode of [0o640, 0o604, 0o660]) {
    chmodSync(file, mode);
    assert.throws(
      () => loadMasterSecrets(undefined, file),
      (error) => error instanceof WrongSetting && error.message.includes(`chmod 600 ${file}`),
    );
  }
});

test("a secret's file with wrong content is refused, and never replaced by a new secret", (t) => {
  const file = join(temporaryFolder(t), "secret");
  for (const content of ["", "\n", "short", "x".repeat(5000), "\0".repeat(43)]) {
    writeFileSync(file, content, { mode: 0o600 });
    assert.throws(
      () => loadMasterSecrets(undefined, file),
      (error) => error instanceof WrongSetting && error.message.includes(file),
    );
    assert.equal(readFileSync(file, "utf8"), content);
  }
});
