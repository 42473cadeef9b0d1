import type { KeyObject } from "node:crypto";
import { insertEvent } from "../audit/audit.sql.ts";
import type { AuditEvent } from "../audit/events.ts";
import type { Clock } from "../primitives/clock.ts";
import { hmacSha256, sha256 } from "../primitives/digest.ts";
import { type Id, idFromBytes, idToBytes, newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { randomBytes, randomSecret } from "../primitives/random.ts";
import type { RateLimits } from "../rate-limits/rate-limits.ts";
import { rateRules } from "../rate-limits/rules.ts";
import type { Session } from "../sessions/session.ts";
import type { Database, Sql } from "../storage/database.ts";
import { deleteInSlices } from "../storage/slices.ts";
import {
  type DeviceRow,
  deleteDevicesBefore,
  deviceIs,
  deviceIsAllowed,
  holdDevice,
  insertDevice,
  selectByUserCode,
  selectDevice,
  updateDecided,
  updateGiven,
  updatePolled,
  updateSlowed,
} from "./device-codes.sql.ts";

/** Who let a device in, and how they had proven who they are. */
export interface DeviceGranted {
  readonly userId: Id;
  readonly amr: readonly string[];
  /** Milliseconds since 1970. */
  readonly authenticatedAt: number;
}

/** What a device asks for. */
export interface DeviceRequest {
  readonly clientId: string;
  readonly scope: string;
  readonly resources: readonly string[];
}

export type Polled =
  | { readonly outcome: "unknown" }
  | { readonly outcome: "expired" }
  | { readonly outcome: "denied" }
  | { readonly outcome: "pending" }
  | { readonly outcome: "too_soon" }
  | { readonly outcome: "allowed"; readonly request: DeviceRequest; readonly granted: DeviceGranted }
  /** The tokens were handed out already. */
  | { readonly outcome: "used"; readonly sessionId: Id; readonly usedAt: number };

export type Looked =
  | { readonly outcome: "found"; readonly userCode: string; readonly request: DeviceRequest }
  /** Unknown, expired, or decided already: which of these is nobody's business. */
  | { readonly outcome: "unknown_code" }
  | { readonly outcome: "too_many_attempts"; readonly retryAfterSeconds: number };

export type DeviceCodes = ReturnType<typeof createDeviceCodes>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  /** For user codes, which are short: nobody finds them out by a copy of the database. */
  readonly key: KeyObject;
  readonly rateLimits: RateLimits;
}

/** RFC 8628 §6.1: "BCDFGHJKLMNPQRSTVWXZ": no vowels, so no words, and no digits that look like letters. */
const LETTERS = "BCDFGHJKLMNPQRSTVWXZ";
const USER_CODE_LETTERS = 8;
const PREFIX = "ktd_";
const DEVICE_CODE = /^ktd_[\w-]{43}$/;

/** The letters of what somebody typed: §6.1: "the server should […] ignore differences in case and punctuation". */
export function userCodeFrom(typed: string): string | undefined {
  const letters = typed
    .slice(0, 4 * USER_CODE_LETTERS)
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]/g, "");
  return letters.length === USER_CODE_LETTERS && [...letters].every((one) => LETTERS.includes(one))
    ? letters
    : undefined;
}

/** BCDFGHJK → BCDF-GHJK */
const shownCode = (letters: string): string => `${letters.slice(0, 4)}-${letters.slice(4)}`;

function newUserCode(): string {
  let code = "";
  while (code.length < USER_CODE_LETTERS) {
    // Bytes beyond the last whole alphabet would make its first letters likelier.
    for (const byte of randomBytes(16)) {
      if (byte < 240 && code.length < USER_CODE_LETTERS) code += LETTERS[byte % LETTERS.length];
    }
  }
  return code;
}

/** Devices without a browser that ask to be let in: RFC 8628. */
export function createDeviceCodes({ database, clock, key, rateLimits }: Dependencies) {
  const userDigest = (letters: string) => hmacSha256(key, letters);

  /** By what they typed. Wrong codes count against the person and against the address, right ones do not: §5.1. */
  async function look(typed: string, by: { userId: Id; ip: string | undefined }): Promise<Looked> {
    const rule = rateRules.deviceUserCode;
    const subjects = [`user ${by.userId}`, ...(by.ip === undefined ? [] : [`address ${by.ip}`])];
    const buckets = subjects.map((subject) => ({ rule, subject }));
    const consumed = await rateLimits.consumeAll(buckets);
    if (!consumed.allowed) {
      return { outcome: "too_many_attempts", retryAfterSeconds: consumed.retryAfterSeconds };
    }
    const letters = userCodeFrom(typed);
    const row = letters && (await database.one<DeviceRow>(selectByUserCode(userDigest(letters))));
    if (!letters || !row || row.state !== "pending" || row.expires_at <= clock.now()) {
      return { outcome: "unknown_code" };
    }
    await rateLimits.refund(buckets);
    return { outcome: "found", userCode: shownCode(letters), request: requestOf(row) };
  }

  return {
    look,

    /** Undefined: too many from this address. */
    async begin(
      request: DeviceRequest,
      ip: string | undefined,
    ): Promise<{ deviceCode: string; userCode: string } | { retryAfterSeconds: number }> {
      const consumed = await rateLimits.consume(rateRules.deviceStart, ip ?? "unknown");
      if (!consumed.allowed) return consumed;
      // Two that wait with the same letters: once in ten million, with a thousand that wait.
      for (let tries = 0; tries < 4; tries++) {
        const [deviceCode, letters] = [randomSecret(PREFIX), newUserCode()];
        const now = clock.now();
        const device_digest = sha256(deviceCode);
        const row = {
          device_digest,
          user_code_digest: userDigest(letters),
          client_id: request.clientId,
          scope: request.scope,
          resources: request.resources.join(" ") || null,
          state: "pending",
          granted: null,
          interval_seconds: limits.deviceIntervalSeconds,
          polled_at: null,
          created_at: now,
          expires_at: now + limits.deviceCodeSeconds * 1000,
          used_at: null,
          gave_session: null,
        };
        const event = eventOf("device.requested", { actor: "client", clientId: request.clientId, ip });
        const onlyIf = deviceIs(device_digest, "pending");
        const [inserted] = await database.batch([
          insertDevice(row),
          insertEvent({ id: newId(now), at: now, event, onlyIf }),
        ]);
        if (inserted?.changes === 1) return { deviceCode, userCode: shownCode(letters) };
      }
      throw new Error("No user code was free");
    },

    /** What the person says to the code that they see on their device. `also`: what belongs to the same act. */
    async decide(
      typed: string,
      decided: {
        readonly session: Session;
        readonly isAllowed: boolean;
        readonly ip: string | undefined;
        readonly also?: ((request: DeviceRequest, onlyIf: Sql) => readonly Sql[]) | undefined;
      },
    ): Promise<Looked> {
      const { session, isAllowed, ip, also } = decided;
      const { userId, amr, authenticatedAt } = session;
      const found = await look(typed, { userId, ip });
      if (found.outcome !== "found") return found;
      const userCode = userDigest(userCodeFrom(typed) ?? "");
      const row = await database.one<DeviceRow>(selectByUserCode(userCode));
      if (row === undefined) return { outcome: "unknown_code" };
      const at = clock.now();
      const granted: DeviceGranted = { userId, amr, authenticatedAt };
      const state = isAllowed ? "allowed" : "denied";
      const event = eventOf(isAllowed ? "device.allowed" : "device.denied", {
        actor: "user",
        userId,
        sessionId: session.id,
        clientId: found.request.clientId,
        ip,
        detail: { scope: found.request.scope },
      });
      const changed = await database.transaction(async (tx) => {
        const said = { userCode, state, granted: isAllowed ? JSON.stringify(granted) : null, at } as const;
        if ((await tx.run(updateDecided(said))) !== 1) return false;
        await tx.run(insertEvent({ id: newId(at), at, event }));
        if (isAllowed) {
          const onlyIf = deviceIs(row.device_digest, "allowed");
          for (const statement of also?.(found.request, onlyIf) ?? []) await tx.run(statement);
        }
        return true;
      });
      return changed ? found : { outcome: "unknown_code" };
    },

    /** A device asks whether it has been let in. RFC 8628 §3.4, §3.5. */
    async poll(deviceCode: string, clientId: string): Promise<Polled> {
      if (!DEVICE_CODE.test(deviceCode)) return { outcome: "unknown" };
      const digest = sha256(deviceCode);
      const row = await database.one<DeviceRow>(selectDevice(digest));
      if (row === undefined || row.client_id !== clientId) return { outcome: "unknown" };
      if (row.state === "used" && row.gave_session !== null && row.used_at !== null) {
        return { outcome: "used", sessionId: idFromBytes(row.gave_session), usedAt: row.used_at };
      }
      const now = clock.now();
      if (row.expires_at <= now) return { outcome: "expired" };
      if (row.state === "denied") return { outcome: "denied" };
      if (row.state === "allowed" && row.granted !== null) {
        return { outcome: "allowed", request: requestOf(row), granted: JSON.parse(row.granted) };
      }
      const [polled] = await database.batch([updatePolled(digest, now)]);
      if (polled?.changes === 1) return { outcome: "pending" };
      const most = limits.deviceIntervalSecondsMax;
      await database.batch([updateSlowed(digest, { at: now, most })]);
      return { outcome: "too_soon" };
    },

    /**
     * For the transaction that starts the session: its condition, and what spends the code. Who lets a device in agrees
     * to what it asks for; who has taken that back since lets nobody in.
     */
    spending(deviceCode: string, { userId, clientId }: { userId: Id; clientId: string }) {
      const digest = sha256(deviceCode);
      return {
        holds: [holdDevice(digest)],
        onlyIf: deviceIsAllowed(digest, { userId, clientId }),
        follows: (onlyIf: Sql, session: Id) => [
          updateGiven(digest, { session: idToBytes(session), at: clock.now(), onlyIf }),
        ],
      };
    },

    /** Deletes those that nobody can use any more; how many. */
    deletePast(): Promise<number> {
      const end = clock.now() - 60_000;
      return deleteInSlices(database, (rows) => deleteDevicesBefore(end, rows));
    },
  };
}

function requestOf({ client_id, scope, resources }: DeviceRow): DeviceRequest {
  return { clientId: client_id, scope, resources: resources === null ? [] : resources.split(" ") };
}

const eventOf = (type: AuditEvent["type"], more: Omit<AuditEvent, "type">): AuditEvent => ({ type, ...more });
