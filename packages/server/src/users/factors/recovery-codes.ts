import { insertEvent } from "../../audit/audit.sql.ts";
import type { Clock } from "../../primitives/clock.ts";
import { sha256 } from "../../primitives/digest.ts";
import { type Id, newId } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import { randomBytes } from "../../primitives/random.ts";
import type { Database, Sql } from "../../storage/database.ts";
import type { By } from "../user.ts";
import {
  countRecoveryCodes,
  deleteRecoveryCodes,
  insertRecoveryCode,
  recoveryCodeUnspent,
  spendRecoveryCode,
} from "./factors.sql.ts";
import type { Proof } from "./proof.ts";

/** Without the letters that are taken for digits (Crockford's base 32). Five bits a character. */
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const CHARACTERS = 24;
const SHAPE = new RegExp(`^[${ALPHABET}]{${CHARACTERS}}$`);

/**
 * 120 bits. OWASP ASVS 5.0 §6.5.2, NIST SP 800-63B-4 §3.1.2.2: look-up secrets of at least 112 bits may be stored as plain
 * digests; shorter ones would take a salted password hash each, that is ten slow hashes for every try.
 */
function newCode(): string {
  const characters = [...randomBytes(CHARACTERS)].map((byte) => ALPHABET[byte & 31]);
  return characters.join("").replace(/(.{4})(?=.)/g, "$1-");
}

/** As somebody copies it from paper. */
function normalized(typed: string): string | undefined {
  const text = typed.toLowerCase().replaceAll(/[\s-]/g, "").replaceAll("o", "0").replaceAll(/[il]/g, "1");
  return SHAPE.test(text) ? text : undefined;
}

const digestOf = (code: string) => sha256(`recovery ${code}`);

export type RecoveryCodes = ReturnType<typeof createRecoveryCodes>;

/** Codes for whoever has lost everything else. Shown once, stored as digests, each good once. */
export function createRecoveryCodes({ database, clock }: { database: Database; clock: Clock }) {
  return {
    async left(userId: Id): Promise<number> {
      const row = await database.one<{ count: number }>(countRecoveryCodes(userId));
      return Number(row?.count ?? 0);
    },

    /** New codes, and what puts them in the place of those before. */
    make(userId: Id, by: By): { codes: readonly string[]; statements(onlyIf: Sql): readonly Sql[] } {
      const at = clock.now();
      const codes = Array.from({ length: limits.recoveryCodes }, newCode);
      const event = { type: "recovery_codes.made", ...by, userId, detail: { codes: codes.length } } as const;
      return {
        codes,
        statements: (onlyIf) => [
          deleteRecoveryCodes(userId, onlyIf),
          ...codes.map((code) =>
            insertRecoveryCode({ userId, digest: digestOf(normalized(code) ?? ""), at, onlyIf }),
          ),
          insertEvent({ id: newId(at), at, event, onlyIf }),
        ],
      };
    },

    /** The proof that a code is, if it is a code of this user that has not been used. */
    async check(userId: Id, typed: string, ip: string | undefined): Promise<Proof | undefined> {
      const code = normalized(typed);
      if (code === undefined) return undefined;
      const digest = digestOf(code);
      const unspent = recoveryCodeUnspent(userId, digest);
      const left = await this.left(userId);
      if (left === 0) return undefined;
      const event = {
        type: "recovery_code.used",
        actor: "user",
        userId,
        ip,
        detail: { left: left - 1 },
      } as const;
      return {
        // RFC 8176 §2 has no word for a look-up secret; it is a password that is good once.
        amr: ["otp"],
        onlyIf: unspent,
        spend(onlyIf) {
          // Of the act that it belongs to, which began before: so the log tells them in one order.
          const at = clock.now();
          return [
            insertEvent({ id: newId(at), at, event, onlyIf }),
            spendRecoveryCode(userId, digest, onlyIf),
          ];
        },
      };
    },

    /** Whether a text is shaped like one: what has six digits is not. */
    isShaped: (typed: string): boolean => normalized(typed) !== undefined,

    removeStatement: (userId: Id, onlyIf: Sql): Sql => deleteRecoveryCodes(userId, onlyIf),
  };
}
