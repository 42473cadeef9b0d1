import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  addPerson,
  FAR,
  FIREFOX,
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

/** When somebody is told of a new device, and when it stays quiet. */

const NEWER_FIREFOX = FIREFOX.replaceAll("140.0", "152.0");

let house: House;
before(async () => {
  house = await openHouse();
});
after(() => house.server.close());

test("new device: told when neither the place nor browser and system was seen before", async () => {
  const person = await oldPerson(house);
  await signIn(person);
  await signIn(person, { ip: FAR, userAgent: SAFARI });
  const [mail, ...others] = await told(person);
  assert.equal(others.length, 0);
  assert.equal(mail?.kind, "new_device");
  assert.equal(mail?.to, person.user.email);
  assert.match(mail?.text ?? "", /Device: Safari, iOS/);
  assert.match(mail?.text ?? "", /Internet address: 203\.0\.113\.9/);
});

test("new device: the first sign-in of an account is none", async () => {
  const person = await oldPerson(house);
  await signIn(person, { ip: FAR, userAgent: SAFARI });
  assert.deepEqual(await kindsTold(person), []);
});

test("new device: quiet while the account is only minutes old", async () => {
  const person = { ...house, user: await addPerson(house) };
  await signIn(person);
  house.clock.pass(10 * 60);
  await signIn(person, { ip: FAR, userAgent: SAFARI });
  assert.deepEqual(await kindsTold(person), []);
});

test("new device: quiet in a known place", async () => {
  const person = await oldPerson(house);
  await signIn(person);
  await signIn(person, { userAgent: SAFARI });
  assert.deepEqual(await kindsTold(person), []);
});

test("new device: quiet in another address of the same IPv6 network", async () => {
  const person = await oldPerson(house);
  await signIn(person, { ip: "2001:db8:1:2::a" });
  await signIn(person, { ip: "2001:db8:1:2:ffff::b", userAgent: SAFARI });
  assert.deepEqual(await kindsTold(person), []);
});

test("new device: quiet for browser and system that are known, whatever their version", async () => {
  const person = await oldPerson(house);
  await signIn(person);
  await signIn(person, { ip: FAR, userAgent: NEWER_FIREFOX });
  assert.deepEqual(await kindsTold(person), []);
});

test("new device: known from a session that is over, too", async () => {
  const person = await oldPerson(house);
  await signIn(person);
  await signIn(person, { ip: FAR, userAgent: SAFARI });
  await house.server.app.sessions.endAllOfUser(person.user.id, { ...operator, reason: "ended_by_operator" });
  await signIn(person, { ip: FAR, userAgent: SAFARI });
  assert.equal((await told(person)).length, 1);
});

test("new device: quiet when the device or its address is not known", async () => {
  for (const how of [{ userAgent: "" }, { ip: "unknown", userAgent: SAFARI }]) {
    const person = await oldPerson(house);
    await signIn(person);
    await signIn(person, { ip: FAR, ...how });
    assert.deepEqual(await kindsTold(person), []);
  }
});

test("new device: quiet for what is no sign-in: a session that goes on under another id", async () => {
  const person = await oldPerson(house);
  const { session } = await signIn(person);
  const moved = { ...session, ip: FAR, userAgent: SAFARI };
  await house.server.app.sessions.start(moved, { replaces: session, renews: true });
  await happens(person, "session.proven_again");
  assert.deepEqual(await kindsTold(person), []);
});
