import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { insertEvent } from "../../packages/server/src/audit/audit.sql.ts";
import type { Compose, Letter } from "../../packages/server/src/mail/mail.ts";
import { insertMail, type NewMail } from "../../packages/server/src/mail/outbox.sql.ts";
import { createOutbox, type MailFailure, pauseAfter } from "../../packages/server/src/mail/outbox.ts";
import { failedMailEvents, mailRows, spoilFirstMail } from "../../packages/server/src/mail/test-outbox.ts";
import { createTransport, type Delivered, type Transport } from "../../packages/server/src/mail/transport.ts";
import { createLog } from "../../packages/server/src/observability/log.ts";
import { newId } from "../../packages/server/src/primitives/id.ts";
import { limits } from "../../packages/server/src/primitives/limits.ts";
import { openDatabase } from "../../packages/server/src/storage/open.ts";
import { openTestDatabase, type TestDatabase } from "../../packages/server/src/storage/test-database.ts";
import { stoppedClock } from "../../packages/server/src/test-server.ts";
import { type MailServer, type MailServerOptions, startMailServer, startOddServer } from "./mail-server.ts";

/** The outbox with a real database and real mail servers. Time is the test's. */

const settings = { siteName: "Orchard", mailFrom: "no-reply@orchard.example" };
const ADDRESS = "alice@example.com";
const LINK = "http://localhost:3000/x#kmc_secret-of-this-test";
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const letterTo =
  (to: string): Compose =>
  async ({ kind }) =>
    ({ kind, to, username: "alice", link: LINK, minutes: 10 }) as Letter;

async function openPlace() {
  const clock = stoppedClock();
  const place = await openTestDatabase({ clock });
  closing.push(place.close);
  return { clock, place };
}

async function serve(options: MailServerOptions = {}): Promise<MailServer> {
  const server = await startMailServer(options);
  closing.push(server.close);
  return server;
}

interface NodeOptions {
  readonly clock: ReturnType<typeof stoppedClock>;
  readonly place: Pick<TestDatabase, "database">;
  readonly transport: Transport;
  readonly compose?: Compose;
  readonly drainMilliseconds?: number;
}

/** A node with its part in the outbox. */
function openNode({ clock, place, transport, compose = letterTo(ADDRESS), ...more }: NodeOptions) {
  const lines: string[] = [];
  const failures: MailFailure[] = [];
  const outbox = createOutbox({
    ...more,
    database: place.database,
    clock,
    log: createLog({ logLevel: "debug" }, { write: (line: string) => void lines.push(line) }),
    compose,
    write: (letter, { id }) => {
      const text = "link" in letter ? letter.link : "";
      const { to, kind } = letter;
      return {
        id,
        kind,
        to,
        subject: "Sign in",
        text,
        html: `<p>${text}</p>`,
        language: "en",
        at: clock.now(),
      };
    },
    transport,
    failedStatement(failure, { onlyIf }) {
      failures.push(failure);
      const event = { type: "mail.failed", actor: "system" } as const;
      return insertEvent({ id: newId(clock.now()), at: clock.now(), event, onlyIf });
    },
  });
  closing.push(outbox.stop);
  return { outbox, lines, failures };
}

const transportTo = (server: Pick<MailServer, "url">, milliseconds?: number) =>
  createTransport({ server: server.url, settings, milliseconds });

function mail(clock: { now(): number }, more: Partial<NewMail> = {}): NewMail {
  const at = clock.now();
  return { id: newId(at), kind: "sign_in", at, expiresAt: at + 3_600_000, ...more };
}

const queue = (place: Pick<TestDatabase, "database">, mails: readonly NewMail[]) =>
  place.database.batch(mails.map((one) => insertMail(one)));

test("what was queued is sent once, and the row stays for an hour so that an event is told once", async () => {
  const { clock, place } = await openPlace();
  const server = await serve();
  const { outbox, lines } = openNode({ clock, place, transport: transportTo(server) });
  await queue(place, [mail(clock)]);
  await outbox.sendDue();
  await outbox.sendDue();
  assert.equal(server.only().mail.text?.trim(), LINK);
  clock.pass(3599);
  await outbox.deletePast();
  assert.equal((await mailRows(place.database)).length, 1);
  clock.pass(2);
  await outbox.deletePast();
  assert.equal((await mailRows(place.database)).length, 0);
  assert.ok(!lines.join().includes(ADDRESS) && !lines.join().includes("kmc_"));
});

test("many mails leave, a bounded number at once", async () => {
  const { clock, place } = await openPlace();
  let underWay = 0;
  let most = 0;
  const transport: Transport = {
    async deliver(): Promise<Delivered> {
      most = Math.max(most, ++underWay);
      await new Promise(setImmediate);
      underWay--;
      return { outcome: "sent" };
    },
    close: () => undefined,
  };
  const { outbox } = openNode({ clock, place, transport });
  await queue(
    place,
    Array.from({ length: 40 }, () => mail(clock)),
  );
  await outbox.sendDue();
  assert.equal(most, limits.mailsAtOnceMax);
  assert.ok((await mailRows(place.database)).every(({ done_at: doneAt }) => doneAt !== null));
});

test("a wake sends at once, without a look by the clock", async () => {
  const { clock, place } = await openPlace();
  const arrived = Promise.withResolvers<void>();
  const server = await serve({
    onMail: () => {
      arrived.resolve();
      return undefined;
    },
  });
  const { outbox } = openNode({ clock, place, transport: transportTo(server) });
  await queue(place, [mail(clock)]);
  outbox.wake();
  await arrived.promise;
});

test("nobody to write to: the mail is done, and nothing tells it from one that was sent", async () => {
  const { clock, place } = await openPlace();
  const server = await serve();
  const node = openNode({ clock, place, transport: transportTo(server), compose: async () => undefined });
  await queue(place, [mail(clock)]);
  await node.outbox.sendDue();
  assert.equal(server.received.length, 0);
  assert.deepEqual(node.failures, []);
  assert.deepEqual(
    node.lines.filter((line) => !line.includes('"level":20')),
    [],
  );
  const [row] = await mailRows(place.database);
  assert.equal(row?.done_at, clock.now());
});

test("4yz: tried again after a pause that grows, until the server takes it", async () => {
  const { clock, place } = await openPlace();
  let busy = 3;
  const server = await serve({
    onRecipient: () => (busy-- > 0 ? { code: 450, text: "greylisted" } : undefined),
  });
  const { outbox, failures } = openNode({ clock, place, transport: transportTo(server) });
  await queue(place, [mail(clock)]);
  const pauses: number[] = [];
  for (let tries = 0; tries < 3; tries++) {
    await outbox.sendDue();
    const [row] = await mailRows(place.database);
    pauses.push((row?.next_try_at ?? 0) - clock.now());
    // A moment too early nothing is tried.
    clock.pass((pauses.at(-1) ?? 0) / 1000 - 0.001);
    await outbox.sendDue();
    assert.equal((await mailRows(place.database))[0]?.tries, tries + 1);
    clock.pass(0.001);
  }
  await outbox.sendDue();
  assert.equal(server.received.length, 1);
  assert.ok(
    pauses.every((pause, index) => index === 0 || pause > (pauses[index - 1] ?? 0)),
    pauses.join(),
  );
  assert.deepEqual(failures, []);
});

test("pauses grow to half an hour and are never the same for all", () => {
  const all = Array.from({ length: 200 }, () => pauseAfter(2));
  assert.ok(Math.min(...all) >= 15_000 * 0.75 && Math.max(...all) <= 15_000 * 1.25);
  assert.ok(new Set(all).size > 50);
  assert.ok(pauseAfter(50) <= limits.mailPauseSecondsMax * 1250);
});

test("5yz of the recipient: given up at once, with an event that has the code and no address", async () => {
  const { clock, place } = await openPlace();
  const server = await serve({ onRecipient: () => ({ code: 550, text: `no ${ADDRESS} here` }) });
  const { outbox, failures, lines } = openNode({ clock, place, transport: transportTo(server) });
  const userId = newId(1);
  await queue(place, [mail(clock, { userId })]);
  await outbox.sendDue();
  assert.deepEqual(failures, [{ userId, kind: "sign_in", code: 550, reason: "recipient" }]);
  assert.ok(!lines.join().includes(ADDRESS));
  assert.equal((await failedMailEvents(place.database)).length, 1);
  clock.pass(3000);
  await outbox.sendDue();
  assert.equal((await mailRows(place.database))[0]?.tries, 1);
});

test("a mail that is over before its next try is given up with what the server said last", async () => {
  const { clock, place } = await openPlace();
  const server = await serve({ onMail: () => ({ code: 451, text: "later" }) });
  const { outbox, failures } = openNode({ clock, place, transport: transportTo(server) });
  await queue(place, [mail(clock, { expiresAt: clock.now() + 3000 })]);
  await outbox.sendDue();
  assert.deepEqual(failures, [{ userId: undefined, kind: "sign_in", code: 451, reason: "message" }]);
});

test("a mail that was over before anybody looked is not composed", async () => {
  const { clock, place } = await openPlace();
  const server = await serve();
  const compose = async () => assert.fail("a link would have been made");
  const { outbox, failures } = openNode({ clock, place, transport: transportTo(server), compose });
  await queue(place, [mail(clock)]);
  clock.pass(3601);
  await outbox.sendDue();
  assert.deepEqual(
    failures.map(({ reason }) => reason),
    ["expired"],
  );
  assert.equal(server.received.length, 0);
});

test("tries are bounded", async () => {
  const { clock, place } = await openPlace();
  const server = await serve({ onMail: () => ({ code: 451, text: "later" }) });
  const { outbox, failures } = openNode({ clock, place, transport: transportTo(server) });
  await queue(place, [mail(clock, { expiresAt: clock.now() + 1e10 })]);
  for (let round = 0; round < limits.mailTriesMax + 5; round++) {
    await outbox.sendDue();
    clock.pass(limits.mailPauseSecondsMax * 2);
  }
  assert.equal(failures.length, 1);
  assert.equal((await mailRows(place.database))[0]?.tries, limits.mailTriesMax);
});

test("a server that hangs holds up neither the others nor the end", async () => {
  const { clock, place } = await openPlace();
  const server = await startOddServer(() => undefined);
  closing.push(server.close);
  const { outbox } = openNode({ clock, place, transport: transportTo(server), drainMilliseconds: 20 });
  await queue(place, [mail(clock)]);
  await outbox.look();
  await outbox.stop();
  const [row] = await mailRows(place.database);
  assert.equal(row?.done_at, null);
  assert.ok((row?.next_try_at ?? 0) <= clock.now() + 7000, "the next start sends it soon");
});

test("at a stop, what is being sent ends", async () => {
  const { clock, place } = await openPlace();
  const taken = Promise.withResolvers<void>();
  const go = Promise.withResolvers<undefined>();
  const server = await serve({
    onMail: () => {
      taken.resolve();
      return go.promise;
    },
  });
  const { outbox } = openNode({ clock, place, transport: transportTo(server) });
  await queue(place, [mail(clock), mail(clock)]);
  await outbox.look();
  await taken.promise;
  const stopped = outbox.stop();
  go.resolve(undefined);
  await stopped;
  assert.ok((await mailRows(place.database)).every(({ done_at: doneAt }) => doneAt !== null));
});

test("a server that cuts after it has the mail: sent again, with the same Message-ID", async () => {
  const { clock, place } = await openPlace();
  const ids: (string | undefined)[] = [];
  const server: MailServer = await serve({
    onMail: ({ messageId }) => {
      ids.push(messageId);
      if (ids.length === 1) server.cut();
      return undefined;
    },
  });
  const { outbox } = openNode({ clock, place, transport: transportTo(server) });
  await queue(place, [mail(clock)]);
  await outbox.sendDue();
  clock.pass(10);
  await outbox.sendDue();
  assert.equal(ids.length, 2);
  assert.equal(ids[0], ids[1]);
  assert.notEqual((await mailRows(place.database))[0]?.done_at, null);
});

test("a node that dies between sending and saying so: another one sends again after a bound, with the same Message-ID", async () => {
  const { clock, place } = await openPlace();
  const server = await serve();
  const dying = transportTo(server);
  const killed: Transport = {
    ...dying,
    async deliver(message) {
      await dying.deliver(message);
      // As if the process were gone: what comes after never happens.
      throw new Error("killed");
    },
  };
  const first = openNode({ clock, place, transport: killed });
  const second = openNode({ clock, place, transport: transportTo(server) });
  await queue(place, [mail(clock)]);
  await first.outbox.sendDue();
  assert.equal(server.received.length, 1);
  clock.pass(limits.mailClaimMilliseconds / 1000 - 1);
  await second.outbox.sendDue();
  assert.equal(server.received.length, 1, "until then the mail is the first node's");
  clock.pass(1);
  await second.outbox.sendDue();
  assert.equal(server.received.length, 2);
  assert.equal(server.received[0]?.mail.messageId, server.received[1]?.mail.messageId);
});

test("a node that was too slow does not undo what another has done since", async () => {
  for (const isBusy of [false, true]) {
    const { clock, place } = await openPlace();
    const server = await serve({ onMail: () => (isBusy ? { code: 451, text: "later" } : undefined) });
    const hold = Promise.withResolvers<void>();
    const slow: Transport = {
      async deliver(): Promise<Delivered> {
        await hold.promise;
        return { outcome: "refused", trouble: "recipient", code: 550, said: "" };
      },
      close: () => undefined,
    };
    const first = openNode({ clock, place, transport: slow });
    const second = openNode({ clock, place, transport: transportTo(server) });
    await queue(place, [mail(clock)]);
    await first.outbox.look();
    clock.pass(limits.mailClaimMilliseconds / 1000);
    await second.outbox.sendDue();
    const [before] = await mailRows(place.database);
    hold.resolve();
    await first.outbox.stop();
    const [after] = await mailRows(place.database);
    assert.deepEqual(after, before);
    assert.equal(after?.done_at === null, isBusy);
    assert.equal((await failedMailEvents(place.database)).length, 0, "no event of a failure that was none");
  }
});

test("two nodes on one outbox send each mail once", async () => {
  const { clock, place } = await openPlace();
  const database = await openDatabase({ url: place.url, clock });
  closing.push(() => database.close());
  const server = await serve();
  const nodes = [place, { database }].map((one) =>
    openNode({ clock, place: one, transport: transportTo(server) }),
  );
  await queue(
    place,
    Array.from({ length: 60 }, () => mail(clock)),
  );
  await Promise.all(nodes.map(({ outbox }) => outbox.sendDue()));
  assert.equal(server.received.length, 60);
  assert.equal(new Set(server.received.map((one) => one.mail.messageId)).size, 60);
});

test("a row that cannot be read keeps no other mail back", async () => {
  const { clock, place } = await openPlace();
  const server = await serve();
  const { outbox } = openNode({ clock, place, transport: transportTo(server) });
  await queue(place, [mail(clock), mail(clock), mail(clock)]);
  await spoilFirstMail(place.database);
  await outbox.sendDue();
  assert.equal(server.received.length, 2);
});

test("what is too large to be a letter of ours is not sent", async () => {
  const { clock, place } = await openPlace();
  const server = await serve();
  const compose: Compose = async (asked) => ({
    ...((await letterTo(ADDRESS)(asked)) as Letter & { kind: "sign_in"; link: string; minutes: number }),
    link: `${LINK}${"x".repeat(limits.mailBytesMax)}`,
  });
  const { outbox, failures } = openNode({ clock, place, transport: transportTo(server), compose });
  await queue(place, [mail(clock)]);
  await outbox.sendDue();
  assert.deepEqual(
    failures.map(({ reason }) => reason),
    ["too_large"],
  );
  assert.equal(server.received.length, 0);
});
