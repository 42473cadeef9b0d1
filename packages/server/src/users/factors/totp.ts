import { insertEvent } from "../../audit/audit.sql.ts";
import type { Clock } from "../../primitives/clock.ts";
import { equalBytes } from "../../primitives/compare.ts";
import { type Id, idFromBytes, newId } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import { randomBytes } from "../../primitives/random.ts";
import type { Database } from "../../storage/database.ts";
import type { User } from "../user.ts";
import {
  confirmTotp,
  putPendingTotp,
  replaceSeal,
  selectTotp,
  selectTotpSealedBefore,
  spendStep,
  stepUnspent,
  type TotpRow,
  totpIsPending,
} from "./factors.sql.ts";
import { type Beginner, beginnerBytes, type Proof } from "./proof.ts";

/** The part of keys/secrets.ts that closes what is stored. */
export interface Sealing {
  seal(plaintext: Uint8Array, context: string): Buffer;
  unseal(sealed: Uint8Array, context: string): Buffer | undefined;
}

/** RFC 4226 §4, R6: "The length of the shared secret MUST be at least 128 bits. This document RECOMMENDs … 160 bits." */
const SECRET_BYTES = 20;
/** What every authenticator app knows; some silently take other values for these. */
const SHAPE = { algorithm: "SHA1", digits: 6, period: 30 } as const;
/** RFC 6238 §5.2: "We RECOMMEND that at most one time step is allowed as the network delay." */
const WINDOW = 1;

export interface PendingTotp {
  /** Base 32, for whoever cannot scan. */
  readonly secret: string;
  /** `otpauth://`, for a QR code. */
  readonly uri: string;
}

export type Totp = ReturnType<typeof createTotp>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly secrets: Sealing;
  readonly settings: { readonly siteName: string };
}

/** One-time passwords by an authenticator app, RFC 6238. */
export function createTotp({ database, clock, secrets, settings }: Dependencies) {
  const contextOf = (userId: Id) => `totp ${userId}`;
  const rowOf = (userId: Id) => database.one<TotpRow>(selectTotp(userId));

  async function generatorOf(secret: Uint8Array, label: string) {
    const { Secret, TOTP } = await import("otpauth");
    const buffer = new Uint8Array(secret).buffer;
    return new TOTP({ ...SHAPE, issuer: settings.siteName, label, secret: new Secret({ buffer }) });
  }

  /** The time step that a code is of, within the window around now. */
  async function stepOf(
    typed: string,
    { row, userId }: { row: TotpRow; userId: Id },
  ): Promise<number | undefined> {
    const code = typed.replaceAll(/\s/g, "");
    const secret = /^\d{6}$/.test(code) ? secrets.unseal(row.sealed, contextOf(userId)) : undefined;
    if (secret === undefined) return undefined;
    const timestamp = clock.now();
    const delta = (await generatorOf(secret, "")).validate({ token: code, timestamp, window: WINDOW });
    return delta === null ? undefined : Math.floor(timestamp / (SHAPE.period * 1000)) + delta;
  }

  return {
    async isOn(userId: Id): Promise<boolean> {
      const row = await rowOf(userId);
      return row !== undefined && row.confirmed_at !== null;
    },

    /**
     * The secret that waits for its first code. It is whose who began it: what somebody else has seen is never
     * confirmed by the user. Undefined when there is a confirmed one already.
     */
    async begin(user: User, beginner: Beginner): Promise<PendingTotp | undefined> {
      const begunBy = beginnerBytes(beginner);
      const before = await rowOf(user.id);
      if (before !== undefined && before.confirmed_at !== null) return undefined;
      let secret =
        before !== undefined && equalBytes(before.begun_by, begunBy)
          ? secrets.unseal(before.sealed, contextOf(user.id))
          : undefined;
      if (secret === undefined) {
        secret = Buffer.from(randomBytes(SECRET_BYTES));
        const sealed = secrets.seal(secret, contextOf(user.id));
        await database.batch([putPendingTotp({ userId: user.id, sealed, begunBy, at: clock.now() })]);
      }
      const generator = await generatorOf(secret, user.username);
      return { secret: generator.secret.base32, uri: generator.toString() };
    },

    /** What confirms the waiting secret, if the code is of it. */
    async confirm(
      userId: Id,
      given: { beginner: Beginner; code: string; ip: string | undefined },
    ): Promise<Proof | undefined> {
      const row = await rowOf(userId);
      if (row === undefined || row.confirmed_at !== null) return undefined;
      if (!equalBytes(row.begun_by, beginnerBytes(given.beginner))) return undefined;
      const step = await stepOf(given.code, { row, userId });
      if (step === undefined) return undefined;
      const { sealed } = row;
      const at = clock.now();
      const event = { type: "totp.added", actor: "user", userId, ip: given.ip } as const;
      return {
        amr: ["otp"],
        onlyIf: totpIsPending(userId, sealed),
        spend: (onlyIf) => [
          confirmTotp({ userId, sealed, step, at, onlyIf }),
          insertEvent({ id: newId(at), at, event, onlyIf }),
        ],
      };
    },

    /**
     * Seals a slice of the secrets anew that another master secret closed, so that it can be laid down. What no master
     * secret opens is left for the day on which the right one is back.
     */
    async sealAnew(): Promise<number> {
      const header = secrets.seal(new Uint8Array(0), "").subarray(0, 2);
      const old = selectTotpSealedBefore(header, limits.sealsPerRunMax);
      const rows = await database.all<{ user_id: Uint8Array; sealed: Uint8Array }>(old);
      const statements = rows.flatMap(({ user_id, sealed }) => {
        const context = contextOf(idFromBytes(user_id));
        const secret = secrets.unseal(sealed, context);
        return secret === undefined
          ? []
          : [replaceSeal(user_id, { from: sealed, to: secrets.seal(secret, context) })];
      });
      if (statements.length > 0) await database.batch(statements);
      return statements.length;
    },

    /** The proof that a code is, if it is one of now that has not been used. */
    async check(userId: Id, code: string): Promise<Proof | undefined> {
      const row = await rowOf(userId);
      if (row === undefined || row.confirmed_at === null) return undefined;
      const step = await stepOf(code, { row, userId });
      if (step === undefined || step <= row.last_step) return undefined;
      return {
        amr: ["otp"],
        onlyIf: stepUnspent(userId, step),
        spend: (onlyIf) => [spendStep({ userId, step, onlyIf })],
      };
    },
  };
}
