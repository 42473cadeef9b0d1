import { auditStatement } from "../audit/audit.ts";
import { type Id, idToBytes, isId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Transaction } from "../storage/database.ts";
import { checkResource, checkRoleName } from "./names.ts";
import { type Affected, nobody, type Reminting } from "./reminting.ts";
import { deleteGrant, insertGrant, selectGrants } from "./roles.sql.ts";
import type { By, InvalidRole } from "./roles.ts";

/** A role of a user: everywhere, or at one resource. */
export interface Grant {
  readonly role: string;
  readonly resource?: string | undefined;
}

interface UnknownUser {
  readonly outcome: "unknown_user";
}

export type Granted =
  /** `unchanged`: the user had it already; or, at a revocation, did not have it. */
  | { readonly outcome: "changed" | "unchanged" }
  | { readonly outcome: "too_many_roles" }
  | UnknownUser
  | InvalidRole;

/** An audit event is small. */
const LISTED_CHARACTERS_MAX = 1000;

interface Held {
  role: string;
  /** Empty: everywhere. */
  resource: string;
}

export type Grants = ReturnType<typeof createGrants>;

/** Which roles users have. A change is one transaction, with its audit event and its re-mint inside. */
export function createGrants({ reminting }: { readonly reminting: Reminting }) {
  /** Changes one user's roles: `work` says what is left out of those before, and what is added. */
  function change(
    userId: Id,
    by: By,
    work: (held: readonly Held[]) => { readonly without: readonly Held[]; readonly with: readonly Held[] },
  ): Promise<Exclude<Granted, InvalidRole>> {
    const refused = (outcome: "unchanged" | "too_many_roles" | "unknown_user") =>
      ({ outcome: { outcome }, affected: nobody }) as const;
    return reminting.change<Exclude<Granted, InvalidRole>>(async (tx, at) => {
      const held = await tx.all<Held>(selectGrants(userId));
      const { without, with: more } = work(held);
      if (without.length + more.length === 0) return refused("unchanged");
      if (held.length - without.length + more.length > limits.rolesPerUserMax) {
        return refused("too_many_roles");
      }
      const changes = await write(tx, { userId, without, with: more });
      // Only a user who is there can be given something; the one who has nothing may be gone.
      if (changes === 0) return refused("unknown_user");
      const detail = { roles: after(held, { without, with: more }) };
      const event = { type: "user.roles_changed", actor: by.actor, ip: by.ip, userId, detail } as const;
      await tx.run(auditStatement(at, event));
      const affected: Affected = [idToBytes(userId)];
      return { outcome: { outcome: "changed" }, affected };
    });
  }

  function checked(userId: string, grant: Grant): Held | UnknownUser | InvalidRole {
    const role = checkRoleName(grant.role);
    if (!role.ok) return { outcome: "invalid", field: "role", problem: role.problem };
    const resource = checkResource(grant.resource);
    if (!resource.ok) return { outcome: "invalid", field: "resource", problem: resource.problem };
    return isId(userId) ? { role: role.value, resource: resource.value } : { outcome: "unknown_user" };
  }

  return {
    async grant(userId: string, grant: Grant, by: By): Promise<Granted> {
      const wanted = checked(userId, grant);
      if ("outcome" in wanted) return wanted;
      return change(userId, by, (held) => ({
        without: [],
        with: held.some((one) => isSame(one, wanted)) ? [] : [wanted],
      }));
    },

    async revoke(userId: string, grant: Grant, by: By): Promise<Granted> {
      const wanted = checked(userId, grant);
      if ("outcome" in wanted) return wanted;
      return change(userId, by, (held) => ({
        without: held.filter((one) => isSame(one, wanted)),
        with: [],
      }));
    },

    /** The roles everywhere in place of those before; those for a resource stay. */
    async setEverywhere(
      userId: Id,
      roles: readonly string[],
      by: By,
    ): Promise<Exclude<Granted, InvalidRole>> {
      return change(userId, by, (held) => {
        const before = held.filter(({ resource }) => resource === "");
        const had = new Set(before.map(({ role }) => role));
        return {
          without: before.filter(({ role }) => !roles.includes(role)),
          with: roles.filter((role) => !had.has(role)).map((role) => ({ role, resource: "" })),
        };
      });
    },
  };
}

const isSame = (one: Held, other: Held) => one.role === other.role && one.resource === other.resource;

async function write(
  tx: Transaction,
  change: { userId: Id; without: readonly Held[]; with: readonly Held[] },
): Promise<number> {
  const { userId } = change;
  let changes = 0;
  for (const held of change.without) changes += await tx.run(deleteGrant({ userId, ...held }));
  for (const held of change.with) changes += await tx.run(insertGrant({ userId, ...held }));
  return changes;
}

/** All that the user has from now on, for the audit log. */
function after(
  held: readonly Held[],
  { without, with: more }: { without: readonly Held[]; with: readonly Held[] },
): string {
  const kept = held.filter((one) => !without.includes(one));
  const texts = [...kept, ...more].map(({ role, resource }) =>
    resource === "" ? role : `${role}@${resource}`,
  );
  const text = texts.sort().join(" ");
  return text.length <= LISTED_CHARACTERS_MAX ? text : `${texts.length} roles`;
}
