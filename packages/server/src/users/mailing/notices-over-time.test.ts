import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { insertEvent } from "../../audit/audit.sql.ts";
import { newId } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import { startTestServer, stoppedClock, type TestServerOptions } from "../../test-server.ts";
import {
  addPerson,
  allTold,
  HOUR,
  happens,
  kindsTold,
  oldPerson,
  openHouse,
  type Person,
} from "./test-notices.ts";

/** Starts, stops and several nodes: each event is told once, or is no news. */

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function open(options: TestServerOptions = {}): Promise<Person> {
  const house = await openHouse(options);
  closing.push(house.server.close);
  return oldPerson(house);
}

test("a first start on an old database does not tell of years", async () => {
  const clock = stoppedClock();
  const server = await startTestServer({ clock });
  closing.push(server.close);
  const house = { server, clock, user: await addPerson({ server, clock }) };
  for (let times = 0; times < 3; times++) await happens(house, "totp.added");
  clock.pass(1);
  assert.deepEqual(await kindsTold(house), []);
  await happens(house, "totp.removed");
  assert.deepEqual(await kindsTold(house), ["factor_removed"]);
});

test("a server that was down for an hour tells what happened meanwhile, and no longer what is a day old", async () => {
  const house = await open();
  await allTold(house);
  await house.server.stop();
  house.clock.pass(HOUR);
  await happens(house, "totp.added");
  house.clock.pass(HOUR);
  const restarted = await startTestServer({ clock: house.clock, beside: house.server });
  closing.push(restarted.close);
  assert.deepEqual(await kindsTold({ ...house, server: restarted }), ["factor_added"]);
  await restarted.stop();
  await happens(house, "totp.removed");
  house.clock.pass(25 * HOUR);
  const late = await startTestServer({ clock: house.clock, beside: house.server });
  closing.push(late.close);
  assert.deepEqual(await kindsTold({ ...house, server: late }), ["factor_added"]);
});

test("an event that was committed minutes after it got its id is told too", async () => {
  const house = await open();
  await allTold(house);
  const at = house.clock.now();
  house.clock.pass(200);
  await allTold(house);
  const event = { type: "totp.added", actor: "user", userId: house.user.id } as const;
  await house.server.database.batch([insertEvent({ id: newId(at), at, event })]);
  assert.deepEqual(await kindsTold(house), ["factor_added"]);
});

test("two nodes tell each event once", async () => {
  const house = await open();
  const other = await startTestServer({ clock: house.clock, beside: house.server });
  closing.push(other.close);
  await happens(house, "totp.added");
  await happens(house, "totp.removed");
  house.clock.pass(61);
  await Promise.all([house.server, other].map(({ app }) => app.mail.notices.tell()));
  // The other node may have been the first to take them.
  await other.app.mail.outbox.sendDue();
  assert.deepEqual((await kindsTold(house)).sort(), ["factor_added", "factor_removed"]);
  assert.equal(await house.server.countRows("mails"), 2);
});

test("more events than one look holds are all judged", async () => {
  const house = await open();
  const count = limits.noticesPerLookMax + 20;
  const people = await Promise.all(Array.from({ length: 8 }, () => addPerson(house)));
  const at = house.clock.now();
  await house.server.database.batch(
    Array.from({ length: count }, (_, index) => {
      const userId = people[index % people.length]?.id;
      const event = { type: "totp.added", actor: "user", userId } as const;
      return insertEvent({ id: newId(at), at, event });
    }),
  );
  await happens(house, "totp.removed");
  const kinds = (await allTold(house)).map(({ kind }) => kind);
  assert.equal(kinds.filter((kind) => kind === "factor_removed").length, 1);
  assert.equal(kinds.length, people.length * limits.noticesPerHourMax + 1);
});

test("securityMails off: nobody is told, not even when it is on again", async () => {
  const house = await open({ settings: { securityMails: "off" } });
  await happens(house, "totp.added");
  assert.deepEqual(await kindsTold(house), []);
  await house.server.stop();
  const on = await startTestServer({ clock: house.clock, beside: house.server });
  closing.push(on.close);
  assert.deepEqual(await kindsTold({ ...house, server: on }), []);
});

test("without a mail server on a public issuer nothing is queued to rot", async () => {
  const house = await open({ settings: { issuer: "https://login.example.com" } });
  assert.equal(house.server.app.mail.isOn, false);
  await happens(house, "totp.added");
  assert.deepEqual(await kindsTold(house), []);
  assert.equal(await house.server.countRows("mails"), 0);
});
