import { insertEvents } from "../audit/audit.sql.ts";
import type { Clock } from "../primitives/clock.ts";
import { type Id, idFromBytes, newId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { checkResource, isRoleName } from "../roles/names.ts";
import { lockRoleChanges } from "../roles/roles.sql.ts";
import type { Database, Transaction } from "../storage/database.ts";
import {
  type HolderRow,
  type ImportedRow,
  insertGrants,
  insertImported,
  insertPasswords,
  selectHolders,
} from "./importing.sql.ts";
import { checkEmail, checkName, checkUsername, emailKey, usernameKey } from "./names.ts";
import { recogniseHash } from "./password-hashes.ts";
import type { By } from "./user.ts";

/** A user as another system has kept them. */
export interface ImportedUser {
  readonly username: string;
  readonly email?: string | undefined;
  readonly emailVerified?: boolean | undefined;
  readonly name?: string | undefined;
  /** `editor`, or `editor@orders` for one resource. */
  readonly roles?: readonly string[] | undefined;
  /** See `recogniseHash`; without one there is nothing to sign in with yet. */
  readonly passwordHash?: string | undefined;
  /** Milliseconds since 1970. Default: now. */
  readonly createdAt?: number | undefined;
  readonly disabled?: boolean | undefined;
  /** What the other system called them. */
  readonly externalId?: string | undefined;
}

export type ImportField = keyof ImportedUser;

/** Why a user is not taken, without a word of what was given. */
export interface ImportProblem {
  readonly outcome: "refused";
  readonly field: ImportField;
  readonly problem: string;
}

/** One whose fields are good. */
export interface CheckedImport {
  readonly outcome: "checked";
  readonly user: Pick<ImportedRow, "username" | "username_key" | "email" | "email_key" | "name">;
  readonly emailVerified: boolean;
  readonly disabled: boolean;
  readonly createdAt: number | undefined;
  readonly externalId: string | undefined;
  readonly hash: string | undefined;
  readonly grants: readonly { readonly role: string; readonly resource: string }[];
}

export type Imported = { readonly outcome: "added" | "present" } | ImportProblem;

/** Visible, of any script; what other systems count by, and long enough for what they hash. */
const EXTERNAL_ID = /^[^\p{C}\p{Z}]+$/u;
/** Parameters of one statement; SQLite takes 32,766. */
const GRANTS_PER_STATEMENT = 5000;

const refuse = (field: ImportField, problem: string): ImportProblem => ({
  outcome: "refused",
  field,
  problem,
});

/** Looks at the fields alone: whether their names are taken the database says. @param now milliseconds since 1970 */
export function checkImported(input: ImportedUser, now: number): CheckedImport | ImportProblem {
  const username = checkUsername(input.username);
  if (!username.ok) return refuse("username", username.problem);
  const email = input.email === undefined ? undefined : checkEmail(input.email);
  if (email?.ok === false) return refuse("email", email.problem);
  const name = input.name === undefined ? undefined : checkName(input.name);
  if (name?.ok === false) return refuse("name", name.problem);
  const hash = input.passwordHash === undefined ? undefined : recogniseHash(input.passwordHash);
  if (hash?.ok === false) return refuse("passwordHash", hash.problem);
  const { createdAt, externalId } = input;
  if (createdAt !== undefined && !(Number.isSafeInteger(createdAt) && createdAt >= 0 && createdAt <= now)) {
    return refuse("createdAt", "The date lies before 1970 or in the future.");
  }
  if (externalId !== undefined && !isExternalId(externalId)) {
    return refuse(
      "externalId",
      `An external id has 1 to ${limits.externalIdCharactersMax} visible characters, without spaces.`,
    );
  }
  const grants = checkGrants(input.roles ?? []);
  if ("outcome" in grants) return grants;
  return {
    outcome: "checked",
    user: {
      username: username.value,
      username_key: usernameKey(username.value),
      email: email?.value ?? null,
      email_key: email === undefined ? null : emailKey(email.value),
      name: name?.value ?? null,
    },
    emailVerified: input.emailVerified === true && email !== undefined,
    disabled: input.disabled === true,
    createdAt,
    externalId,
    hash: input.passwordHash,
    grants,
  };
}

function isExternalId(text: string): boolean {
  return text.length <= limits.externalIdCharactersMax && text.isWellFormed() && EXTERNAL_ID.test(text);
}

function checkGrants(roles: readonly string[]) {
  if (roles.length > limits.rolesPerUserMax) {
    return refuse("roles", `A user has at most ${limits.rolesPerUserMax} roles.`);
  }
  const grants: { role: string; resource: string }[] = [];
  for (const text of new Set(roles)) {
    const at = text.indexOf("@");
    const role = at < 0 ? text : text.slice(0, at);
    const resource = checkResource(at < 0 ? undefined : text.slice(at + 1));
    if (!isRoleName(role) || !resource.ok || text.endsWith("@")) {
      return refuse(
        "roles",
        `A role has 1 to ${limits.roleCharactersMax} of A-Z a-z 0-9 : . _ - and begins with a letter or a digit; @ and a resource may follow.`,
      );
    }
    grants.push({ role, resource: resource.value });
  }
  return grants;
}

export type Importing = ReturnType<typeof createImporting>;

/** Bringing users along from another system, many at once. */
export function createImporting({ database, clock }: { readonly database: Database; readonly clock: Clock }) {
  function rowOf({ user, ...more }: CheckedImport, at: number): ImportedRow {
    return {
      ...user,
      id: newId(at),
      email_verified_at: more.emailVerified ? at : null,
      created_at: more.createdAt ?? at,
      updated_at: at,
      disabled_at: more.disabled ? at : null,
      external_id: more.externalId ?? null,
    };
  }

  return {
    /**
     * Adds those who are not there yet: one transaction, with an audit event each. What became of each, in order.
     * Whoever is there already, by an earlier run, is left as they are.
     */
    async add(batch: readonly CheckedImport[], by: By): Promise<Imported[]> {
      if (batch.length === 0) return [];
      return database.transaction(async (tx) => {
        const at = clock.now();
        const rows = batch.map((one) => rowOf(one, at));
        // A role that is being changed must not be given past the change.
        if (batch.some(({ grants }) => grants.length > 0)) await tx.run(lockRoleChanges());
        const returned = await tx.all<{ id: Uint8Array }>(insertImported(rows));
        const added = new Set<Id>(returned.map(({ id }) => idFromBytes(id)));
        const isAdded = (index: number) => added.has(rows[index]?.id ?? "");
        await writeRest(tx, { batch, rows, isAdded, by, at });
        const others = await judge(
          tx,
          batch.filter((_, index) => !isAdded(index)),
        );
        return batch.map((_, index) => (isAdded(index) ? ADDED : notAdded(others.shift())));
      });
    },

    /** What `add` would come to. Changes nothing. */
    async foresee(batch: readonly CheckedImport[]): Promise<Imported[]> {
      return judge(database, batch);
    },
  };
}

const ADDED: Imported = { outcome: "added" };
const PRESENT: Imported = { outcome: "present" };

/** A name that was taken a moment ago and is free now is not the line's yet. */
function notAdded(judged: Imported | undefined): Imported {
  if (judged !== undefined && judged.outcome !== "added") return judged;
  return refuse("username", "One of its names was just being given up; run the import again.");
}

/** What belongs to the users whose rows were added. */
async function writeRest(
  tx: Transaction,
  written: {
    batch: readonly CheckedImport[];
    rows: readonly ImportedRow[];
    isAdded: (index: number) => boolean;
    by: By;
    at: number;
  },
): Promise<void> {
  const { batch, rows, isAdded, by, at } = written;
  const added = batch.flatMap((one, index) => {
    const row = rows[index];
    return row !== undefined && isAdded(index) ? [{ ...one, row }] : [];
  });
  if (added.length === 0) return;
  const passwords = added.flatMap(({ hash, row }) =>
    hash === undefined ? [] : [{ id: newId(at), userId: row.id, hash, at }],
  );
  if (passwords.length > 0) await tx.run(insertPasswords(passwords));
  const grants = added.flatMap((one) => one.grants.map((grant) => ({ userId: one.row.id, ...grant })));
  for (let from = 0; from < grants.length; from += GRANTS_PER_STATEMENT) {
    await tx.run(insertGrants(grants.slice(from, from + GRANTS_PER_STATEMENT)));
  }
  const events = added.map(({ row, grants: given }) => {
    const detail = { username: row.username, imported: true, roles: given.length };
    const event = { type: "user.added", actor: by.actor, ip: by.ip, userId: row.id, detail } as const;
    return { id: newId(at), at, event };
  });
  await tx.run(insertEvents(events));
}

/** For those whose names somebody has: whether that is the same user, brought along before. */
async function judge(reader: Pick<Transaction, "all">, batch: readonly CheckedImport[]): Promise<Imported[]> {
  if (batch.length === 0) return [];
  const holders = await reader.all<HolderRow>(
    selectHolders({
      usernames: batch.map(({ user }) => user.username_key),
      emails: batch.flatMap(({ user }) => user.email_key ?? []),
      externalIds: batch.flatMap(({ externalId }) => externalId ?? []),
    }),
  );
  const byUsername = new Map(holders.map((row) => [row.username_key, row]));
  const byEmail = new Map(holders.map((row) => [row.email_key, row]));
  const byExternalId = new Map(holders.map((row) => [row.external_id, row]));
  return batch.map((one) => {
    const { user, externalId } = one;
    // Whatever they may be called by now.
    if (externalId !== undefined && byExternalId.has(externalId)) return PRESENT;
    const holder = byUsername.get(user.username_key);
    if (holder !== undefined) {
      return isSame(one, holder) ? PRESENT : refuse("username", "Another user has this username.");
    }
    if (user.email_key !== null && byEmail.has(user.email_key)) {
      return refuse("email", "Another user has this e-mail address.");
    }
    return ADDED;
  });
}

/** By all that the line says about who it is. */
function isSame({ user, createdAt, externalId }: CheckedImport, holder: HolderRow): boolean {
  if (externalId !== undefined) return false;
  if (user.email_key !== null && user.email_key !== holder.email_key) return false;
  return createdAt === undefined || createdAt === holder.created_at;
}
