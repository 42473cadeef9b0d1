import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { raw } from "sql-template-tag";
import { insertEvent } from "../../audit/audit.sql.ts";
import { insertMail } from "../../mail/outbox.sql.ts";
import { newId } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import {
  addPerson,
  allTold,
  HOUR,
  type House,
  happens,
  kindsTold,
  oldPerson,
  openHouse,
  operator,
  SAFARI,
  signIn,
  told,
} from "./test-notices.ts";

/** What people are told of by mail, and when nobody is. */

let house: House;
before(async () => {
  house = await openHouse();
});
after(() => house.server.close());

/** As a change of address does. */
const moveTo = (email: string, username: string) =>
  house.server.database.batch([
    raw(
      `UPDATE users SET email = '${email}', email_key = '${email}', email_verified_at = ${house.clock.now()} WHERE username = '${username}'`,
    ),
  ]);

test("password: told when it was changed, whoever did it", async () => {
  const person = await oldPerson(house);
  house.server.secrets.add("another horse battery");
  await house.server.app.users.setPassword(
    person.user.id,
    { password: "another horse battery", endSessions: false },
    operator,
  );
  const [mail] = await told(person);
  assert.equal(mail?.kind, "password_changed");
  assert.match(mail?.text ?? "", /Done by: the operator of this site/);
  assert.doesNotMatch(mail?.text ?? "", /Internet address/);
});

test("password: quiet for a hash that was raised", async () => {
  const person = await oldPerson(house);
  await happens(person, "password.hash_upgraded");
  assert.deepEqual(await kindsTold(person), []);
});

test("factors: told when one was added or removed", async () => {
  const person = await oldPerson(house);
  await happens(person, "passkey.added");
  await happens(person, "totp.removed");
  const mails = await told(person);
  assert.deepEqual(
    mails.map(({ kind }) => kind),
    ["factor_added", "factor_removed"],
  );
  assert.match(mails[0]?.text ?? "", /What: a passkey/);
  assert.match(mails[1]?.text ?? "", /What: an authenticator app/);
});

test("recovery codes: told when made anew, not with the factor that they came with", async () => {
  const person = await oldPerson(house);
  await happens(person, "totp.added");
  await happens(person, "recovery_codes.made");
  assert.deepEqual(await kindsTold(person), ["factor_added"]);
  house.clock.pass(HOUR);
  await happens(person, "recovery_codes.made");
  const mails = await told(person);
  assert.equal(mails.length, 2);
  assert.match(mails[1]?.text ?? "", /new recovery codes/);
});

test("recovery code: told with how many are left", async () => {
  const person = await oldPerson(house);
  await happens(person, "recovery_code.used", { detail: { left: 4 } });
  const [mail] = await told(person);
  assert.equal(mail?.kind, "recovery_code_used");
  assert.match(mail?.text ?? "", /Codes that are left: 4/);
});

test("providers: told when one was connected or disconnected, by the name that people know", async () => {
  const person = await oldPerson(house);
  const added = await house.server.app.providers.add(
    { preset: "google", id: "google", clientId: "ours", secret: "secret-of-the-test" },
    operator,
  );
  assert.equal(added.outcome, "added");
  await happens(person, "identity.linked", { detail: { provider: "google" } });
  await happens(person, "identity.unlinked", { detail: { provider: "gone" } });
  const mails = await told(person);
  assert.match(mails[0]?.text ?? "", /Provider: Google/);
  assert.match(mails[1]?.text ?? "", /Provider: gone/);
});

test("providers: quiet for the one that somebody has just signed up by", async () => {
  const person = { ...house, user: await addPerson(house) };
  await happens(person, "identity.linked", { detail: { provider: "google" } });
  assert.deepEqual(await kindsTold(person), []);
});

test("reuse: told with the device that was signed out, and not with an address that may be the owner's own", async () => {
  const person = await oldPerson(house);
  const { session } = await signIn(person, { userAgent: SAFARI });
  await happens(person, "session.reuse_detected", { actor: "system", sessionId: session.id });
  const [mail] = await told(person);
  assert.equal(mail?.kind, "reuse_detected");
  assert.match(mail?.text ?? "", /Device: Safari, iOS/);
  assert.doesNotMatch(mail?.text ?? "", /203\.0\.113/);
});

test("nobody is told at an address that is not verified, or on a disabled account", async () => {
  const { server } = house;
  const unverified = await server.addUser("bob", { email: "bob@example.com" });
  const without = await server.addUser("carol");
  const disabled = await addPerson(house);
  await server.app.users.disable(disabled.id, operator);
  for (const user of [unverified, without, disabled]) {
    await happens({ ...house, user }, "totp.added");
    assert.deepEqual(await kindsTold({ ...house, user }), []);
  }
});

test("whoever is disabled, removed or has another address before the mail leaves is not told", async () => {
  const { server, clock } = house;
  const people = await Promise.all([1, 2, 3, 4].map(() => addPerson(house)));
  const [first, second, third, fourth] = people.map((user) => ({ ...house, user }));
  assert.ok(first && second && third && fourth);
  server.secrets.add("eve@example.com");
  await server.app.users.disable(first.user.id, operator);
  await server.app.users.remove(second.user.id, operator);
  await moveTo("eve@example.com", third.user.username);
  await server.database.batch(
    people.map(({ id: userId, email: address }) => {
      const at = clock.now();
      return insertMail({ id: newId(at), kind: "factor_added", userId, address, at, expiresAt: at + 1e6 });
    }),
  );
  for (const person of [first, second, third]) assert.deepEqual(await kindsTold(person), []);
  assert.deepEqual(await kindsTold(fourth), ["factor_added"]);
  assert.ok(!(await allTold(house)).some(({ to }) => to === "eve@example.com"));
});

test("an address that was verified after the event is not told of it", async () => {
  const person = await oldPerson(house);
  house.server.secrets.add("mallory@example.com");
  const at = house.clock.now();
  house.clock.pass(1);
  await moveTo("mallory@example.com", person.user.username);
  const event = { type: "totp.added", actor: "user", userId: person.user.id } as const;
  await house.server.database.batch([insertEvent({ id: newId(at), at, event })]);
  assert.ok(!(await allTold(house)).some(({ to }) => to === "mallory@example.com"));
  assert.deepEqual(await kindsTold(person), []);
});

test("not more than a few of a kind in an hour", async () => {
  const person = await oldPerson(house);
  for (let times = 0; times < limits.noticesPerHourMax + 5; times++) await happens(person, "totp.added");
  assert.equal((await told(person)).length, limits.noticesPerHourMax);
  house.clock.pass(HOUR);
  await happens(person, "totp.added");
  assert.equal((await told(person)).length, limits.noticesPerHourMax + 1);
});
