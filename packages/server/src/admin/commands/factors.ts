import type { Factors } from "../../users/factors/factors.ts";
import type { OwnedFactors } from "../../users/factors/owned.ts";
import type { User } from "../../users/user.ts";
import { operator, type UnknownUser, type UserRooms } from "./users.ts";

/** What the operator does with users' second factors. */

export interface FactorRooms extends UserRooms {
  readonly factors: Pick<Factors, "ownedBy" | "managing">;
}

export type FactorsShown =
  | { readonly outcome: "found"; readonly user: User; readonly owned: OwnedFactors }
  | UnknownUser;

export async function showFactors({ users, factors }: FactorRooms, name: string): Promise<FactorsShown> {
  const user = await users.find(name);
  if (user === undefined) return { outcome: "unknown_user" };
  return { outcome: "found", user, owned: await factors.ownedBy(user.id) };
}

export type FactorKind = "passkeys" | "totp" | "all";

export type FactorsRemoved =
  | { readonly outcome: "removed" | "unchanged"; readonly user: User; readonly ended: number }
  | UnknownUser;

/** For a lost device. Sessions end unless they are to be kept: whoever found the device may be in one of them. */
export async function removeFactors(
  { users, factors, sessions }: FactorRooms,
  change: { name: string; kind: FactorKind; keepSessions?: boolean },
  by = operator,
): Promise<FactorsRemoved> {
  const user = await users.find(change.name);
  if (user === undefined) return { outcome: "unknown_user" };
  const { kind, keepSessions = false } = change;
  const { removePasskeys, removeTotp } = factors.managing;
  const removed = [
    kind !== "totp" && (await removePasskeys(user.id, by)),
    kind !== "passkeys" && (await removeTotp(user.id, by)),
  ];
  if (!removed.includes(true)) return { outcome: "unchanged", user, ended: 0 };
  const ended = keepSessions
    ? 0
    : await sessions.endAllOfUser(user.id, { ...by, reason: "ended_by_operator" });
  return { outcome: "removed", user, ended };
}
