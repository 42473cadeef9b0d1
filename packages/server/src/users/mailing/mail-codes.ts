import type { KeyObject } from "node:crypto";
import { insertEvent } from "../../audit/audit.sql.ts";
import type { CodeLetter } from "../../mail/mail.ts";
import type { Clock } from "../../primitives/clock.ts";
import { equalBytes } from "../../primitives/compare.ts";
import { hmacSha256, sha256 } from "../../primitives/digest.ts";
import { type Id, idFromBytes, newId } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import { randomBytes, randomSecret } from "../../primitives/random.ts";
import type { Database, Sql } from "../../storage/database.ts";
import { deleteInSlices } from "../../storage/slices.ts";
import {
  deleteMailCode,
  deleteMailCodesBefore,
  deleteMailCodesOf,
  type MailCodeRow,
  mailCodeExists,
  mailCodeIsAlive,
  putMailCode,
  retireDigits,
  selectMailCode,
  selectMailCodeOfAsker,
  spendMailCode,
} from "./mail-codes.sql.ts";

/** What a letter carries, found in the table; it is alive at the moment of the look. */
export interface MailCode {
  readonly digest: Buffer;
  readonly purpose: CodeLetter;
  readonly userId: Id;
  /** That it is about: the user's, or the one that is to be. */
  readonly email: string;
  readonly emailKey: string;
}

export interface NewMailCode {
  readonly mailId: Id;
  readonly purpose: CodeLetter;
  readonly userId: Id;
  readonly email: string;
  readonly emailKey: string;
  /** In whose hands the six digits are good; without one the letter has a link only. */
  readonly asker: Buffer | undefined;
  /** When the mail was asked for; milliseconds since 1970. */
  readonly askedAt: number;
  readonly minutes: number;
}

const LINK = /^kml_[A-Za-z0-9_-]{43}$/;
const DIGITS = /^[0-9]+$/;

export type MailCodes = ReturnType<typeof createMailCodes>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  /** `secrets.key("mail-code")`: six digits have too few values for a plain digest to hide them. */
  readonly key: KeyObject;
}

/**
 * What letters carry: a link with 256 random bits, and for some six digits beside it. Only digests are stored. The
 * digits are good in the hands of the asker alone, so a letter that is read over somebody's shoulder is not enough.
 */
export function createMailCodes({ database, clock, key }: Dependencies) {
  const lifeOf = (purpose: CodeLetter) => ({ purpose, now: clock.now() });
  const digitsDigest = (asker: Buffer, digits: string) =>
    hmacSha256(key, `digits ${asker.toString("hex")} ${digits}`);

  function fromRow(row: MailCodeRow): MailCode {
    return {
      digest: Buffer.from(row.link_digest),
      purpose: row.purpose as CodeLetter,
      userId: idFromBytes(row.user_id),
      email: row.email,
      emailKey: row.email_key,
    };
  }

  return {
    /** Fresh at every call; undefined when the user is not (or no longer) who is meant. */
    async mint(wanted: NewMailCode): Promise<{ link: string; digits: string | undefined } | undefined> {
      const { mailId, purpose, userId, email, emailKey, asker, askedAt } = wanted;
      const at = clock.now();
      const link = randomSecret("kml_");
      const digest = sha256(link);
      const digits = asker && newDigits();
      const codeDigest = asker && digits ? digitsDigest(asker, digits) : null;
      const expiresAt = at + wanted.minutes * 60_000;
      const event = { type: "email.code_made", actor: "system", userId, detail: { purpose } } as const;
      const [put] = await database.batch([
        putMailCode({
          mailId,
          digest,
          purpose,
          userId,
          email,
          emailKey,
          codeDigest,
          askerDigest: asker ?? null,
          askedAt,
          at,
          expiresAt,
        }),
        ...(asker === undefined ? [] : [retireDigits(asker, digest)]),
        insertEvent({ id: newId(at), at, event, onlyIf: mailCodeExists(digest) }),
      ]);
      return put?.changes === 1 ? { link, digits } : undefined;
    },

    /** By the secret of a link. What is none costs no look. */
    async find(link: string, purpose: CodeLetter): Promise<MailCode | undefined> {
      if (!LINK.test(link)) return undefined;
      const row = await database.one<MailCodeRow>(selectMailCode(sha256(link), lifeOf(purpose)));
      return row && fromRow(row);
    },

    /** What an asker has been sent, and whether these are its digits. The try has been counted before. */
    async findByDigits(
      asker: Buffer,
      typed: { purpose: CodeLetter; digits: string },
    ): Promise<{ code: MailCode; isRight: boolean } | undefined> {
      const row = await database.one<MailCodeRow>(selectMailCodeOfAsker(asker, lifeOf(typed.purpose)));
      if (row === undefined) return undefined;
      const digits = typed.digits.replaceAll(/\s/g, "");
      const isShaped = digits.length === limits.mailCodeDigits && DIGITS.test(digits);
      const stored = row.code_digest ?? Buffer.alloc(0);
      return { code: fromRow(row), isRight: isShaped && equalBytes(stored, digitsDigest(asker, digits)) };
    },

    /** In a transaction that holds the user's row: 1 for the one that has used it up, 0 for all others. */
    spend: ({ digest, purpose }: MailCode): Sql => spendMailCode(digest, lifeOf(purpose)),
    /** The same in two parts: what must be so for the act, and what follows it. */
    isAlive: ({ digest, purpose }: MailCode): Sql => mailCodeIsAlive(digest, lifeOf(purpose)),
    /** The one that was used, and the others of its kind: one is enough. */
    afterUse: ({ digest, purpose, userId }: MailCode): Sql[] => [
      deleteMailCode(digest),
      deleteMailCodesOf(userId, purpose),
    ],

    /** The digits of a letter to who is signed in are good in no other hands. */
    askerOfUser: (userId: Id): Buffer => sha256(`user ${userId}`),

    async deletePast(): Promise<void> {
      const now = clock.now();
      await deleteInSlices(database, (rows) => deleteMailCodesBefore(now, rows));
    },
  };
}

function newDigits(): string {
  const count = 10 ** limits.mailCodeDigits;
  // Of 2^48 values; that some remainders are likelier by 4 in a thousand million tells nobody anything.
  return String(randomBytes(6).readUIntBE(0, 6) % count).padStart(limits.mailCodeDigits, "0");
}
