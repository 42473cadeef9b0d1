import assert from "node:assert/strict";
import { test } from "node:test";
import { createSecrets } from "../../keys/secrets.ts";
import { idToBytes, newId } from "../../primitives/id.ts";
import { openUsers } from "../test-users.ts";
import { selectTotp, type TotpRow } from "./factors.sql.ts";
import { useProof } from "./proof.ts";
import { codeAt } from "./test-factors.ts";
import { createTotp } from "./totp.ts";

const [before, after] = [Buffer.alloc(32, 7), Buffer.alloc(32, 8)];

test("a changed master secret: secrets of apps are sealed anew, and outlive the old one; without it they are left alone", async () => {
  const room = await openUsers();
  try {
    const { database, clock } = room;
    const user = await room.add("alice");
    const settings = { siteName: "Keyturn" };
    const totpBy = (...masters: Buffer[]) =>
      createTotp({ database, clock, settings, secrets: createSecrets(masters) });
    const beginner = { session: newId(clock.now()) };
    const old = totpBy(before);
    const pending = await old.begin(user, beginner);
    assert.ok(pending);
    const at = clock.now();
    const proof = await old.confirm(user.id, {
      beginner,
      code: await codeAt(pending.secret, at),
      ip: undefined,
    });
    assert.ok(proof);
    assert.ok(await useProof(database, { userId: user.id, proof }));
    const sealed = async () => Buffer.from((await database.one<TotpRow>(selectTotp(user.id)))?.sealed ?? []);
    assert.ok(!(await sealed()).includes(idToBytes(user.id)));

    const first = await sealed();
    assert.equal(await totpBy(after).sealAnew(), 0, "what it cannot open it leaves");
    assert.deepEqual(await sealed(), first);
    assert.equal(await old.sealAnew(), 0, "what is sealed by the current one stays");
    assert.equal(await totpBy(after, before).sealAnew(), 1);
    room.pass(60_000);
    const code = await codeAt(pending.secret, clock.now());
    assert.ok(await totpBy(after).check(user.id, code));
    assert.equal(await old.check(user.id, code), undefined);
  } finally {
    await room.close();
  }
});

test("a secret that was sealed for one user opens for no other", async () => {
  const room = await openUsers();
  try {
    const { database, clock } = room;
    const [alice, bob] = [await room.add("alice"), await room.add("bob")];
    const secrets = createSecrets([before]);
    const totp = createTotp({ database, clock, settings: { siteName: "Keyturn" }, secrets });
    const pending = await totp.begin(alice, { session: newId(clock.now()) });
    assert.ok(pending);
    assert.match(pending.uri, /^otpauth:\/\/totp\/Keyturn:alice\?/);
    const row = await database.one<TotpRow>(selectTotp(alice.id));
    assert.ok(row);
    assert.ok(secrets.unseal(row.sealed, `totp ${alice.id}`));
    assert.equal(secrets.unseal(row.sealed, `totp ${bob.id}`), undefined);
  } finally {
    await room.close();
  }
});
