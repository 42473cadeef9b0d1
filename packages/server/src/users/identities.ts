import { insertEvent } from "../audit/audit.sql.ts";
import type { Clock } from "../primitives/clock.ts";
import { type Id, idFromBytes, idToBytes, isId, newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { randomBytes } from "../primitives/random.ts";
import type { Database, Sql } from "../storage/database.ts";
import { isUniqueViolation } from "../storage/statement-failed.ts";
import { actOnUser, eventOf } from "./acts.ts";
import {
  canLose,
  deleteIdentity,
  type IdentityKey,
  type IdentityRow,
  insertIdentity,
  insertIdentityOfNew,
  selectHolder,
  selectIdentities,
} from "./identities.sql.ts";
import type { MailDoor } from "./mailing/queued.ts";
import { verificationOfNew } from "./mailing/registering.ts";
import { checkUsername, emailKey, usernameKey } from "./names.ts";
import { type By, type User, userFromRow } from "./user.ts";
import {
  insertUser,
  isEnabled,
  selectUser,
  selectUserByKey,
  type UserRow,
  updateUser,
  userExists,
} from "./users.sql.ts";

/** A user's account at a provider. */
export interface Identity {
  readonly id: Id;
  readonly providerId: string;
  /** What the provider calls the account, for its owner to know it by. */
  readonly label: string | undefined;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

export interface NewIdentity extends IdentityKey {
  readonly providerId: string;
  readonly label: string | undefined;
}

/** Somebody whom nobody here knows yet. */
export interface Newcomer {
  readonly identity: NewIdentity;
  /** What the person would like to be called: any text. */
  readonly wish: string | undefined;
  readonly name: string | undefined;
  readonly email: string | undefined;
  readonly emailVerified: boolean;
}

export type SignedUp =
  | { readonly outcome: "signed_up"; readonly user: User }
  /** Another user has the address. Nothing was written. */
  | { readonly outcome: "email_taken" }
  /** The same person has been signed up at this moment. */
  | { readonly outcome: "known" }
  /** Every name that was tried is taken, most likely by chance: trying again helps. */
  | { readonly outcome: "no_username" };

export type Linked = "linked" | "already_linked" | "taken" | "too_many" | "unknown_user";
export type Unlinked = "unlinked" | "last_way_in" | "unknown_identity";

export type Identities = ReturnType<typeof createIdentities>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly mail: MailDoor;
}

/**
 * Who is who at a provider. Keyed by issuer and subject, never by an e-mail address: whoever says that they have
 * somebody's address is not therefore that person. Every act is one transaction with its audit event inside.
 */
export function createIdentities({ database, clock, mail }: Dependencies) {
  async function holderOf(key: IdentityKey): Promise<Id | undefined> {
    const row = await database.one<{ user_id: Uint8Array }>(selectHolder(key));
    return row && idFromBytes(row.user_id);
  }

  /** One transaction: user, identity and events, or nothing. */
  async function insert(newcomer: Newcomer, username: string, by: By): Promise<User | undefined> {
    const at = clock.now();
    const userId = newId(at);
    const { identity, name = null, email, emailVerified } = newcomer;
    const row = {
      id: idToBytes(userId),
      username,
      username_key: usernameKey(username),
      email: email ?? null,
      email_key: email === undefined ? null : emailKey(email),
      email_verified_at: email !== undefined && emailVerified ? at : null,
      name,
      created_at: at,
    };
    const provider = identity.providerId;
    const [whose, onlyIf] = [{ actor: by.actor, ip: by.ip, userId }, userExists(userId)];
    const registered = { type: "user.registered", ...whose, detail: { username, provider } } as const;
    const linked = { type: "identity.linked", ...whose, detail: { provider } } as const;
    const [inserted] = await database.batch([
      insertUser(row),
      insertEvent({ id: newId(at), at, event: registered, onlyIf }),
      insertIdentityOfNew({ ...identity, id: newId(at), userId, at }, onlyIf),
      insertEvent({ id: newId(at), at, event: linked, onlyIf }),
      ...(emailVerified ? [] : verificationOfNew(mail, { id: userId, email: row.email, at })),
    ]);
    if (inserted?.changes !== 1) return undefined;
    if (!emailVerified && email !== undefined) mail.wake();
    const none = { roles: null, resource_roles: null, external_id: null, disabled_at: null };
    return userFromRow({ ...row, ...none, updated_at: at });
  }

  return {
    /** Whose identity it is. */
    async find(key: IdentityKey): Promise<User | undefined> {
      const userId = await holderOf(key);
      const row = userId && (await database.one<UserRow>(selectUser(userId)));
      return row ? userFromRow(row) : undefined;
    },

    /** The oldest first. */
    async list(userId: Id): Promise<Identity[]> {
      const rows = await database.all<IdentityRow>(selectIdentities(userId, limits.identitiesPerUserMax));
      return rows.map((row) => ({
        id: idFromBytes(row.id),
        providerId: row.provider_id,
        label: row.label ?? undefined,
        createdAt: row.created_at,
      }));
    },

    /** Whose address it is, verified or not. */
    async holderOfEmail(email: string): Promise<User | undefined> {
      const row = await database.one<UserRow>(selectUserByKey({ field: "email", key: emailKey(email) }));
      return row && userFromRow(row);
    },

    /** Makes an account without a password, under the wished-for name or one like it. */
    async signUp(newcomer: Newcomer, by: By): Promise<SignedUp> {
      const { email } = newcomer;
      for (const username of usernamesLike(newcomer.wish)) {
        try {
          const user = await insert(newcomer, username, by);
          if (user !== undefined) return { outcome: "signed_up", user };
        } catch (error) {
          if (!isUniqueViolation(error)) throw error;
          return { outcome: "known" };
        }
        // The same person at the same moment has the same address and the same wish.
        if ((await holderOf(newcomer.identity)) !== undefined) return { outcome: "known" };
        const key = email === undefined ? undefined : emailKey(email);
        const taken = key && (await database.one<UserRow>(selectUserByKey({ field: "email", key })));
        if (taken) return { outcome: "email_taken" };
      }
      return { outcome: "no_username" };
    },

    /**
     * Another way to sign in for a user who is there. Whoever calls has seen the proof of both.
     * @param also in the same transaction, whatever comes of it
     */
    async link(
      userId: Id,
      identity: NewIdentity,
      { also = [], ...by }: By & { also?: readonly Sql[] },
    ): Promise<Linked> {
      const at = clock.now();
      const row = { ...identity, id: newId(at), userId, at };
      const detail = { provider: identity.providerId };
      const outcome = await database.transaction(async (tx) => {
        // Holds the user's row: of two at once the second one counts what the first has left.
        const isThere = (await tx.run(updateUser({ id: userId, at, changes: {}, onlyIf: isEnabled }))) === 1;
        const isLinked = isThere && (await tx.run(insertIdentity(row, limits.identitiesPerUserMax))) === 1;
        if (isLinked) await tx.run(eventOf({ type: "identity.linked", userId, at, detail }, by));
        for (const statement of also) await tx.run(statement);
        if (isLinked) return "linked";
        return isThere ? "too_many" : "unknown_user";
      });
      if (outcome === "linked") return outcome;
      const holder = await holderOf(identity);
      if (holder !== undefined) return holder === userId ? "already_linked" : "taken";
      return outcome;
    },

    /** Takes a way to sign in away, unless it is the last one. */
    async unlink(userId: Id, id: string, by: By): Promise<Unlinked> {
      if (!isId(id)) return "unknown_identity";
      const identities = await this.list(userId);
      const found = identities.find((one) => one.id === id);
      if (found === undefined) return "unknown_identity";
      const at = clock.now();
      const detail = { provider: found.providerId };
      const isDone = await actOnUser(database, {
        userId,
        act: deleteIdentity(id, canLose(id, userId)),
        follows: [
          updateUser({ id: userId, at, changes: {} }),
          eventOf({ type: "identity.unlinked", userId, at, detail }, by),
        ],
      });
      if (isDone) return "unlinked";
      return (await this.list(userId)).some((one) => one.id === id) ? "last_way_in" : "unknown_identity";
    },
  };
}

/** The wish as far as it can be a username, then the same with digits behind it. */
function* usernamesLike(wish: string | undefined): Generator<string> {
  const local = (wish ?? "").split("@")[0] ?? "";
  const plain = local
    .normalize("NFKC")
    .trim()
    .replace(/[^\p{L}\p{M}\p{N}._+-]+/gu, "-")
    .replace(/^[^\p{L}\p{N}_]+|-+$/gu, "");
  const room = limits.usernameCharactersMax - 7;
  const checked = checkUsername([...plain].slice(0, room).join(""));
  const base = checked.ok ? checked.value : "user";
  if (checked.ok) yield base;
  for (let tried = 1; tried < limits.usernamesTriedMax; tried++) {
    const digits = randomBytes(3).readUIntBE(0, 3) % 10 ** (tried < 4 ? 4 : 6);
    yield `${base}-${digits}`;
  }
}
