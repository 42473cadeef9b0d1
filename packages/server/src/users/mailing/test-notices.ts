import assert from "node:assert/strict";
import { insertEvent } from "../../audit/audit.sql.ts";
import type { AuditEvent, AuditEventType } from "../../audit/events.ts";
import type { Message } from "../../mail/transport.ts";
import { newId } from "../../primitives/id.ts";
import { startTestServer, stoppedClock, type TestServer, type TestServerOptions } from "../../test-server.ts";
import type { User } from "../user.ts";

/** People to whom things happen, and the mails that tell them: those of the development outbox. */

export const operator = { actor: "operator" } as const;
export const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
export const SAFARI =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1";
const HOME = "198.51.100.7";
export const FAR = "203.0.113.9";
export const HOUR = 3600;

/** A server whose clock stands still until the test moves it. */
export interface House {
  readonly server: TestServer;
  readonly clock: ReturnType<typeof stoppedClock>;
}

export interface Person extends House {
  readonly user: User;
}

export async function openHouse(options: TestServerOptions = {}): Promise<House> {
  const clock = stoppedClock();
  const server = await startTestServer({ clock, ...options });
  // The first look of a server settles where its news begins.
  await server.app.mail.notices.tell();
  return { server, clock };
}

let people = 0;

/** Somebody new, whose address is verified. */
export async function addPerson({ server }: House): Promise<User> {
  const username = `person-${++people}`;
  return server.addUser(username, { email: `${username}@example.com`, emailVerified: true });
}

/** The same, whose account is a day old. */
export async function oldPerson(house: House): Promise<Person> {
  const user = await addPerson(house);
  house.clock.pass(24 * HOUR);
  return { ...house, user };
}

/** All that has been told so far, the oldest first. */
export async function allTold({ server, clock }: House): Promise<Message[]> {
  clock.pass(61);
  await server.app.mail.notices.tell();
  await server.app.mail.outbox.sendDue();
  return ((await server.app.mail.outboxFolder?.list()) ?? []).reverse();
}

export async function told(person: Person): Promise<Message[]> {
  return (await allTold(person)).filter(({ to }) => to === person.user.email);
}

export const kindsTold = async (person: Person) => (await told(person)).map(({ kind }) => kind);

export async function signIn({ server, clock, user }: Person, how: { ip?: string; userAgent?: string } = {}) {
  clock.pass(1);
  const arrival = { clientId: "keyturn", ip: HOME, userAgent: FIREFOX, ...how, amr: ["pwd"] };
  const arrived = await server.app.arrivals.arrive(user, arrival);
  assert.ok(arrived?.outcome === "signed_in");
  server.secrets.add(arrived.credential);
  return arrived;
}

/** Writes an event as the act that it tells of would. */
export async function happens(
  { server, clock, user }: Person,
  type: AuditEventType,
  more: Partial<AuditEvent> = {},
): Promise<void> {
  clock.pass(1);
  const at = clock.now();
  const event = { type, actor: "user", userId: user.id, ip: FAR, ...more } as const;
  await server.database.batch([insertEvent({ id: newId(at), at, event })]);
}
