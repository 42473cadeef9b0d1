import type { Actor } from "../audit/events.ts";
import { type Id, idFromBytes } from "../primitives/id.ts";
import type { UserRow } from "./users.sql.ts";

/** A person. Times are milliseconds since 1970. */
export interface User {
  readonly id: Id;
  readonly username: string;
  readonly email: string | undefined;
  readonly emailVerified: boolean;
  readonly name: string | undefined;
  /** Those that count everywhere; in order, each once. */
  readonly roles: readonly string[];
  /** Those that count at one resource, as role@resource. */
  readonly resourceRoles: readonly string[];
  readonly createdAt: number;
  readonly updatedAt: number;
  /** What they were called where they were brought along from. */
  readonly externalId: string | undefined;
  /** Since when nobody can sign in as this user. */
  readonly disabledAt: number | undefined;
}

/** Who acts, for the audit log. */
export interface By {
  readonly actor: Actor;
  readonly ip?: string | undefined;
}

export type UserField = "username" | "email" | "name" | "password" | "passwordHash" | "roles";

/** A field that cannot be taken, and why, as a sentence for whoever filled it in. */
export interface InvalidField {
  readonly outcome: "invalid";
  readonly field: UserField;
  readonly problem: string;
}

export const invalid = (field: UserField, problem: string): InvalidField => ({
  outcome: "invalid",
  field,
  problem,
});

export function userFromRow(row: UserRow): User {
  return {
    id: idFromBytes(row.id),
    username: row.username,
    email: row.email ?? undefined,
    emailVerified: row.email_verified_at !== null,
    name: row.name ?? undefined,
    roles: row.roles === null ? [] : row.roles.split(" "),
    resourceRoles: row.resource_roles === null ? [] : row.resource_roles.split(" "),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    externalId: row.external_id ?? undefined,
    disabledAt: row.disabled_at ?? undefined,
  };
}
