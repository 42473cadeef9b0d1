import { type Asking, mustRest, reasonIn } from "./asking.ts";
import type { Connection } from "./connection.ts";
import { complain, type Ledger, note, type SessionRecord } from "./ledger.ts";
import type { Device, Lane, People, Person } from "./people.ts";
import type { Random } from "./random.ts";

/** What people do now and then, besides refreshing. Each leaves the ledger with what was acknowledged. */

export interface DeedsOptions {
  readonly ledger: Ledger;
  readonly asking: Asking;
  readonly people: People;
  readonly random: Random;
}

export type Deeds = ReturnType<typeof createDeeds>;

const endedRememberedMax = 500;
const triesMax = 5;
const formerPasswordsMax = 10;
const json = (value: unknown) => JSON.stringify(value);
/** What a token of a session that is over may be told. */
const overReasons = ["revoked", "reused", "expired"];

export function createDeeds({ ledger, asking, people, random }: DeedsOptions) {
  const { counts } = ledger;
  const ended: SessionRecord[] = [];

  /** Somebody was told that the session is over. */
  function markEnded(person: Person, device: Device): void {
    people.leave(person, device, "ended");
    ended.push(device.record);
    if (ended.length > endedRememberedMax) ended.shift();
  }

  /** Two tabs refresh at once with the same token: both go on with one and the same successor. */
  async function race(person: Person, device: Device, lane: Lane): Promise<void> {
    counts.races++;
    const { record } = device;
    const { token } = record;
    const before = device.earlier;
    const presented = { token, deviceSecret: device.secret };
    const tabs = await Promise.all([
      asking.refresh(lane.first, record, presented),
      asking.refresh(lane.second, record, presented),
    ]);
    let refused: string | undefined;
    for (const tab of tabs) {
      if (tab.outcome === "token") people.take(device, tab);
      if (tab.outcome === "refused") refused = tab.reason;
    }
    if (tabs.some(({ outcome }) => outcome === "token") && device.earlier === before)
      device.earlier = [token, ...before].slice(0, 2);
    if (refused === undefined) return;
    if (["superseded", "unknown"].includes(refused)) {
      // By the protocol a tab reads the storage again and goes on with what is there.
      await people.turn(person, device, lane.first);
      return;
    }
    complain(ledger, {
      kind: "honest sign-out",
      what: `one of two tabs was refused: ${refused}`,
      of: record,
    });
    people.leave(person, device, "shared");
  }

  /** A copy of an earlier request arrives late, by the same device: it may get nothing, and ends nothing. */
  async function lateDuplicate(person: Person, device: Device, lane: Lane): Promise<void> {
    const token = device.earlier.at(-1);
    if (token === undefined) return;
    counts.lateDuplicates++;
    const { record } = device;
    const answer = await asking.refresh(lane.second, record, { token, deviceSecret: device.secret });
    if (answer.outcome === "token") people.take(device, answer);
    if (answer.outcome !== "refused") return;
    if (answer.reason === "superseded") counts.superseded++;
    else if (answer.reason !== "unknown") {
      const what = `a late copy of an earlier request was refused: ${answer.reason}`;
      complain(ledger, { kind: "honest sign-out", what, of: record });
      people.leave(person, device, "shared");
    }
  }

  async function signOut(person: Person, device: Device, lane: Lane): Promise<void> {
    const { record } = device;
    const request = {
      method: "POST",
      path: "/logout",
      fields: people.fieldsOf(person),
      body: json({ refreshToken: record.token }),
    } as const;
    const reply = await asking.ask(lane.first, request, { of: record });
    if (reply === undefined) return;
    if (reply.status === 204) {
      counts.signOuts++;
      note(record, "signed out");
      return markEnded(person, device);
    }
    // After a restore the token may be newer than the row: then nothing was done, and nothing is promised.
    if (reasonIn(reply) === "unknown") return;
    complain(ledger, { kind: "wrong answer", what: `/logout answered ${reasonIn(reply)}`, of: record });
    people.leave(person, device, "shared");
  }

  /**
   * Something that asks for an access token; a clock that was shifted makes one no good, and then it is asked for anew.
   * @returns the reply, undefined when it was put off
   */
  async function withAccessToken(
    person: Person,
    device: Device,
    { lane, request }: { lane: Lane; request: { method: "POST" | "DELETE"; path: string; body?: string } },
  ) {
    for (let tries = 0; tries < triesMax; tries++) {
      if (mustRest(device.record) || !(await people.turn(person, device, lane.first))) return undefined;
      const fields = people.fieldsOf(person, device.accessToken);
      const reply = await asking.ask(lane.first, { ...request, fields }, { of: device.record });
      if (reply === undefined || reply.status !== 401) return reply;
    }
    return undefined;
  }

  /** From one device of a person, the other one is signed out. */
  async function revokeOther(person: Person, device: Device, lane: Lane): Promise<void> {
    const other = person.devices.find((one) => one !== device);
    if (other === undefined) return;
    // From here on it may be over, whether the reply comes or not.
    other.record.state = "shared";
    const request = { method: "DELETE", path: `/sessions/${other.record.id}` } as const;
    const reply = await withAccessToken(person, device, { lane, request });
    if (reply?.status === 204) {
      counts.revocations++;
      note(other.record, "revoked from the other device");
      return markEnded(person, other);
    }
    // 404: done by the try whose reply was lost, or forgotten by a restore; which one, nobody was told.
    people.leave(person, other, "shared");
    if (reply !== undefined && reply.status !== 404)
      complain(ledger, {
        kind: "wrong answer",
        what: `${request.path} answered ${reply.status}`,
        of: other.record,
      });
  }

  /** Ends the person's other sessions too. */
  async function changePassword(person: Person, device: Device, lane: Lane): Promise<void> {
    if (person.passwords.length > 1) return;
    const current = person.passwords[0] ?? "";
    const next = people.newPassword();
    const others = person.devices.filter((one) => one !== device);
    for (const { record } of others) record.state = "shared";
    person.passwords.push(next);
    const request = {
      method: "POST",
      path: "/password",
      body: json({ currentPassword: current, newPassword: next }),
    } as const;
    const reply = await withAccessToken(person, device, { lane, request });
    if (reply?.status === 200) {
      counts.passwordChanges++;
      person.passwords = [next];
      person.formerPasswords.push({ text: current, replacedAt: performance.now() });
      if (person.formerPasswords.length > formerPasswordsMax) person.formerPasswords.shift();
      for (const other of others) markEnded(person, other);
      return;
    }
    for (const other of others) people.leave(person, other, "shared");
    if (reply?.status === 429) counts.limited++;
    // wrong_password: the try whose reply was lost has changed it. Either password may be the one that is good.
    else if (reply !== undefined && reply.status !== 403)
      complain(ledger, {
        kind: "wrong answer",
        what: `/password answered ${reply.status} ${reasonIn(reply)}`,
      });
  }

  /** What is over stays over, whoever asks and however often. */
  async function presentEnded(
    connection: Connection,
    record = ended.length > 0 ? random.pick(ended) : undefined,
  ) {
    if (record === undefined) return;
    counts.endedPresented++;
    const { token } = record;
    const answer = await asking.refresh(connection, record, { token, deviceSecret: undefined });
    if (answer.outcome === "gave up") return;
    if (answer.outcome === "refused" && overReasons.includes(answer.reason)) return;
    if (answer.outcome === "refused" && answer.reason === "unknown" && record.mayBeForgotten) return;
    const said = answer.outcome === "token" ? "a token" : answer.reason;
    complain(ledger, { kind: "ended session came back", what: `it was answered with ${said}`, of: record });
  }

  return { race, lateDuplicate, signOut, revokeOther, changePassword, presentEnded, markEnded, ended };
}
