import { randomBytes } from "node:crypto";
import { type Asking, mustRest, type Refreshed, reasonIn } from "./asking.ts";
import type { Connection } from "./connection.ts";
import { acknowledge, begin, complain, type Ledger, note, type SessionRecord } from "./ledger.ts";
import type { Random } from "./random.ts";

/*
 * People, each with a device or two, and what they do. One person does one thing at a time, so that what is true of
 * their sessions is known when it is done; many people do so at once.
 */

/** Two connections: a second tab, or a thief, has one of its own. */
export interface Lane {
  readonly first: Connection;
  readonly second: Connection;
}

export interface Device {
  readonly secret: Buffer;
  readonly record: SessionRecord;
  /** The tokens before the current one, newest first, since the last restore. */
  earlier: string[];
  accessToken: string;
  /** By the steady clock. */
  turnedAt: number;
}

export interface Person {
  readonly username: string;
  /** What a proxy in front would say of where they are: each is somebody else, so that no limit is met. */
  readonly address: string;
  /** Usually one. More, the likeliest last, while nobody was told which of them is good. */
  passwords: string[];
  /** Those before, with when they were replaced: an older copy of the database brings one back. */
  formerPasswords: { text: string; replacedAt: number }[];
  readonly registeredAt: number;
  /** As of a session: ./ledger.ts. */
  mayBeForgotten: boolean;
  devices: Device[];
}

export interface PeopleOptions {
  readonly ledger: Ledger;
  readonly asking: Asking;
  readonly random: Random;
}

export type People = ReturnType<typeof createPeople>;

const devicesMax = 2;
const signInTriesMax = 40;
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const json = (value: unknown) => JSON.stringify(value);

export function createPeople({ ledger, asking, random }: PeopleOptions) {
  const { counts } = ledger;
  let people = 0;

  const newPassword = () => randomBytes(12).toString("base64url");
  const fieldsOf = (person: { address: string }, accessToken?: string) =>
    `X-Forwarded-For: ${person.address}\r\n${accessToken ? `Authorization: Bearer ${accessToken}\r\n` : ""}`;

  async function register({ first }: Lane): Promise<Person | undefined> {
    const number = people++;
    const username = `p${number}-${randomBytes(4).toString("hex")}`;
    const address = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
    const password = newPassword();
    let unanswered = false;
    const request = {
      method: "POST",
      path: "/register",
      fields: fieldsOf({ address }),
      body: json({ username, password }),
    } as const;
    const reply = await asking.ask(first, request, {
      onUnanswered: () => {
        unanswered = true;
      },
    });
    if (reply === undefined) return undefined;
    if (reply.status === 429) {
      counts.limited++;
      return undefined;
    }
    // The reply to the request that made the account may be the one that was lost.
    if (reply.status !== 201 && !(reply.status === 409 && unanswered)) {
      complain(ledger, {
        kind: "wrong answer",
        what: `/register answered ${reply.status}: ${reasonIn(reply)}`,
      });
      return undefined;
    }
    counts.registrations++;
    return {
      username,
      address,
      passwords: [password],
      formerPasswords: [],
      registeredAt: performance.now(),
      mayBeForgotten: false,
      devices: [],
    };
  }

  /** False: this person cannot go on, and somebody else takes their place. */
  async function signIn(person: Person, { first }: Lane): Promise<boolean> {
    for (let tries = 0, refused = 0; tries < signInTriesMax; tries++) {
      const candidates = [...person.passwords].reverse();
      const password = candidates[refused] ?? "";
      const body = json({ username: person.username, password, device: "faults" });
      const request = { method: "POST", path: "/login", fields: fieldsOf(person), body } as const;
      const reply = await asking.ask(first, request);
      if (reply === undefined) return false;
      if (reply.status === 200) {
        const { sessionId, refreshToken, accessToken } = JSON.parse(reply.body);
        const record = begin(ledger, { id: sessionId, username: person.username, token: refreshToken });
        note(record, "signed in");
        person.devices.push({
          secret: randomBytes(32),
          record,
          earlier: [],
          accessToken,
          turnedAt: record.begunAt,
        });
        person.passwords = [password];
        counts.signIns++;
        return true;
      }
      if (reply.status === 429) {
        counts.limited++;
        return false;
      }
      if (person.mayBeForgotten) {
        counts.forgottenByRestore++;
        return false;
      }
      // A restore that came while it was asked has brought former passwords back: then all are tried anew.
      refused = person.passwords.length === candidates.length ? refused + 1 : 0;
      if (refused < person.passwords.length) continue;
      const what = `${person.username} cannot sign in with the password that was acknowledged: ${reasonIn(reply)}`;
      complain(ledger, { kind: "acknowledged write lost", what });
      return false;
    }
    return false;
  }

  /** Presents the current token, as its owner does, and judges the answer. */
  async function turn(person: Person, device: Device, connection: Connection): Promise<boolean> {
    const { record } = device;
    for (let tries = 0; ; tries++) {
      const { token } = record;
      const before = device.earlier;
      const refreshed = await asking.refresh(connection, record, { token, deviceSecret: device.secret });
      if (refreshed.outcome === "gave up") return false;
      if (refreshed.outcome === "token") {
        // Unless a restore has emptied it meanwhile: a row that took a newer token up knows none before it.
        if (device.earlier === before) device.earlier = [token, ...before].slice(0, 2);
        take(device, refreshed);
        return true;
      }
      if (await mayComeBack(person, device, { reason: refreshed.reason, tries })) continue;
      return false;
    }
  }

  function take(device: Device, { token, accessToken }: Extract<Refreshed, { outcome: "token" }>): void {
    acknowledge(ledger, device.record, token);
    device.accessToken = accessToken;
    device.turnedAt = performance.now();
  }

  /** An honest client was refused. True: it keeps its token and tries again. */
  async function mayComeBack(
    person: Person,
    device: Device,
    { reason, tries }: { reason: string; tries: number },
  ): Promise<boolean> {
    const { record } = device;
    if (reason === "unknown" && record.mayBeForgotten) {
      counts.forgottenByRestore++;
      leave(person, device, "shared");
      return false;
    }
    // A clock that is ahead makes a late retry look older than a day; when it is right again, so is the answer.
    if (["unknown", "superseded"].includes(reason) && tries < signInTriesMax) {
      if (reason === "superseded") counts.superseded++;
      await pause(250);
      return true;
    }
    const kind = reason === "unknown" ? "acknowledged write lost" : "honest sign-out";
    complain(ledger, { kind, what: `its owner was refused: ${reason}`, of: record });
    leave(person, device, "shared");
    return false;
  }

  function leave(person: Person, device: Device, state: "ended" | "shared"): void {
    device.record.state = state;
    person.devices = person.devices.filter((one) => one !== device);
  }

  return {
    register,
    signIn,
    turn,
    take,
    leave,
    fieldsOf,
    newPassword,

    /** The device that may go on; undefined when all are to rest. */
    deviceOf(person: Person): Device | undefined {
      const free = person.devices.filter(({ record }) => !mustRest(record));
      return free.length === 0 ? undefined : random.pick(free);
    },

    wantsDevice: (person: Person) =>
      person.devices.length === 0 || (person.devices.length < devicesMax && random.chance(0.01)),
  };
}
