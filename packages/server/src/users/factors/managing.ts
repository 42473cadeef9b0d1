import { auditStatement } from "../../audit/audit.ts";
import type { AuditEventType } from "../../audit/events.ts";
import type { Clock } from "../../primitives/clock.ts";
import type { Id } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import type { Session } from "../../sessions/session.ts";
import { lockUser } from "../../sessions/sessions.sql.ts";
import type { Database, Sql } from "../../storage/database.ts";
import { cleanText } from "../names.ts";
import type { By, User } from "../user.ts";
import type { CodeLimits, TooManyAttempts } from "./code-limits.ts";
import {
  anyway,
  deletePasskey,
  deletePasskeysOf,
  deleteTotp,
  hasNoFactor,
  selectPasskey,
  updatePasskeyName,
} from "./factors.sql.ts";
import type { OwnedFactors } from "./owned.ts";
import type { Passkeys } from "./passkeys.ts";
import { type Proof, useProof } from "./proof.ts";
import type { RecoveryCodes } from "./recovery-codes.ts";
import { ownerOfSession } from "./step-up.ts";
import type { PendingTotp, Totp } from "./totp.ts";

/** Somebody at work on their own account. */
export interface Own {
  readonly user: User;
  readonly session: Session;
  readonly ip: string | undefined;
}

export type FactorAdded =
  | {
      readonly outcome: "added";
      /** With the first factor. Shown this once. */
      readonly recoveryCodes: readonly string[] | undefined;
    }
  | { readonly outcome: "refused" };

export type PasskeyRemoved = "removed" | "last_way_in" | "gone";

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly ownedBy: (userId: Id) => Promise<OwnedFactors>;
  readonly totp: Totp;
  readonly passkeys: Passkeys;
  readonly recoveryCodes: RecoveryCodes;
  readonly codeLimits: CodeLimits;
}

/** Adding, naming and removing second factors. Whether the last proof is recent is asked by whoever calls. */
export function createManaging(dependencies: Dependencies) {
  const { database, clock, ownedBy, totp, passkeys, recoveryCodes, codeLimits } = dependencies;

  /** With the first factor come recovery codes: else a lost device would lock its owner out. */
  async function add({ user, ip }: Own, proof: Pick<Proof, "onlyIf" | "spend">): Promise<FactorAdded> {
    const owned = await ownedBy(user.id);
    const made =
      owned.hasSecond && owned.recoveryCodes > 0
        ? undefined
        : recoveryCodes.make(user.id, { actor: "user", ip });
    const acts = () => made?.statements(anyway) ?? [];
    const isAdded = await useProof(database, { userId: user.id, proof, acts });
    return isAdded ? { outcome: "added", recoveryCodes: made?.codes } : { outcome: "refused" };
  }

  /** Something goes; with the last factor the recovery codes, which would stand in for nothing. */
  async function remove(
    userId: Id,
    given: { statement: Sql; type: AuditEventType; by: By; passkey?: Id },
  ): Promise<boolean> {
    const { statement, type, by, passkey } = given;
    const at = clock.now();
    return database.transaction(async (tx) => {
      await tx.run(lockUser(userId));
      const count = await tx.run(statement);
      if (count === 0) return false;
      await tx.run(auditStatement(at, { type, ...by, userId, detail: passkey ? { passkey } : { count } }));
      await tx.run(recoveryCodes.removeStatement(userId, hasNoFactor(userId)));
      return true;
    });
  }

  return {
    /** The secret that waits for its first code; undefined when there is one that works already. */
    beginTotp: ({ user, session }: Own): Promise<PendingTotp | undefined> =>
      totp.begin(user, { session: session.id }),

    async addTotp(own: Own, code: string): Promise<FactorAdded | TooManyAttempts> {
      const { user, session, ip } = own;
      const confirm = () => totp.confirm(user.id, { beginner: { session: session.id }, code, ip });
      const result = await codeLimits.within({ userId: user.id, ip }, confirm);
      if (result.outcome === "too_many_attempts") return result;
      return result.outcome === "wrong" ? { outcome: "refused" } : add(own, result.proof);
    },

    passkeyOptions: ({ user, session }: Own): Promise<object> =>
      passkeys.creationOptions(user, ownerOfSession(session)),

    async addPasskey(own: Own, given: { response: unknown; name: string }): Promise<FactorAdded> {
      const { user, session, ip } = own;
      const proof = await passkeys.register(user, { ...given, owner: ownerOfSession(session), ip });
      return proof === undefined ? { outcome: "refused" } : add(own, proof);
    },

    async renamePasskey(userId: Id, passkey: { id: Id; name: string }, by: By): Promise<boolean> {
      const name = cleanText(passkey.name, limits.passkeyNameCharactersMax);
      if (name === undefined) return false;
      const event = { type: "passkey.renamed", ...by, userId, detail: { passkey: passkey.id } } as const;
      return database.transaction(async (tx) => {
        if ((await tx.run(updatePasskeyName(userId, passkey.id, name))) !== 1) return false;
        await tx.run(auditStatement(clock.now(), event));
        return true;
      });
    },

    /** One of the user's own. The last way to sign in stays. */
    async removePasskey(userId: Id, passkey: Id, by: By): Promise<PasskeyRemoved> {
      const statement = deletePasskey(userId, passkey);
      if (await remove(userId, { statement, type: "passkey.removed", by, passkey })) return "removed";
      const found = await database.one(selectPasskey(userId, passkey));
      return found === undefined ? "gone" : "last_way_in";
    },

    /** All of them, whatever way to sign in is left: for a device that was lost, by the operator. */
    removePasskeys: (userId: Id, by: By): Promise<boolean> =>
      remove(userId, { statement: deletePasskeysOf(userId), type: "passkey.removed", by }),

    removeTotp: (userId: Id, by: By): Promise<boolean> =>
      remove(userId, { statement: deleteTotp(userId), type: "totp.removed", by }),

    /** New codes in place of those before; undefined for who has no factor that they could stand in for. */
    async remakeRecoveryCodes({ user, ip }: Own): Promise<readonly string[] | undefined> {
      if (!(await ownedBy(user.id)).hasSecond) return undefined;
      const made = recoveryCodes.make(user.id, { actor: "user", ip });
      await database.batch([lockUser(user.id), ...made.statements(anyway)]);
      return made.codes;
    },
  };
}
