import type { ImportedUser, ImportField } from "../../../users/importing.ts";

/** What a line says, or what is wrong with it; never with a word of what stands there. */
export type Parsed =
  | { readonly outcome: "parsed"; readonly user: ImportedUser }
  | { readonly outcome: "refused"; readonly field: string | undefined; readonly problem: string };

export const refuse = (field: string | undefined, problem: string) =>
  ({ outcome: "refused", field, problem }) as const;

const importFields: readonly ImportField[] = [
  "username",
  "email",
  "emailVerified",
  "name",
  "roles",
  "passwordHash",
  "createdAt",
  "disabled",
  "externalId",
];

const bare = (name: string) => name.toLowerCase().replace(/[\s_-]/g, "");
const byBareName = new Map(importFields.map((field) => [bare(field), field]));

/** `passwordHash`, `password_hash` and `Password Hash` are one name. */
export const fieldNamed = (name: string): ImportField | undefined => byBareName.get(bare(name));

/** What to say of a column that is none of ours. The name is the file's, so it is shown in part only. */
export function unknownColumn(name: string): string {
  if (bare(name) === "password") {
    return "Passwords are not brought along as they are; give hashes of them as passwordHash, or leave the column out by --ignore password.";
  }
  const shown = [...name].slice(0, 40).join("");
  return `There is no field ${shown === "" ? "without a name" : shown}; there are ${importFields.join(", ")}. Leave it out by --ignore.`;
}

const BOOLEANS = new Map<unknown, boolean>([
  [true, true],
  [false, false],
  [1, true],
  [0, false],
  ["true", true],
  ["false", false],
  ["1", true],
  ["0", false],
  ["yes", true],
  ["no", false],
]);
const ISO = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/;
/** Smaller numbers are seconds: as milliseconds they would lie in 1973. */
const MILLISECONDS_FROM = 100_000_000_000;

/** The values of a line, by their fields; null and empty are not there. */
export function parseFields(values: ReadonlyMap<ImportField, unknown>): Parsed {
  const user: { -readonly [K in ImportField]?: ImportedUser[K] } = {};
  for (const [field, value] of values) {
    if (value === null || value === undefined || value === "") continue;
    const problem = readField(user, field, value);
    if (problem !== undefined) return refuse(field, problem);
  }
  if (user.username === undefined) return refuse("username", "A user has a username.");
  return { outcome: "parsed", user: { ...user, username: user.username } };
}

type Filling = { -readonly [K in ImportField]?: ImportedUser[K] };

function readField(user: Filling, field: ImportField, value: unknown): string | undefined {
  switch (field) {
    case "username":
    case "email":
    case "name":
    case "passwordHash":
      if (typeof value !== "string") return "It takes a text.";
      user[field] = value;
      return undefined;
    case "externalId":
      if (typeof value !== "string" && !Number.isSafeInteger(value))
        return "It takes a text or a whole number.";
      user.externalId = String(value);
      return undefined;
    case "emailVerified":
    case "disabled": {
      const read = BOOLEANS.get(typeof value === "string" ? value.toLowerCase() : value);
      if (read === undefined) return "It takes true or false.";
      user[field] = read;
      return undefined;
    }
    case "roles": {
      const roles = typeof value === "string" ? value.split(/[\s,;|]+/).filter((role) => role !== "") : value;
      if (!Array.isArray(roles) || !roles.every((role) => typeof role === "string")) {
        return "It takes a list of texts, or one text with spaces between the roles.";
      }
      user.roles = roles;
      return undefined;
    }
    case "createdAt": {
      const read = timeFrom(value);
      if (read === undefined) return "It takes an ISO 8601 date, or seconds or milliseconds since 1970.";
      user.createdAt = read;
      return undefined;
    }
  }
}

/** Milliseconds since 1970. A time without a zone is UTC: what the file means must not depend on this machine. */
function timeFrom(value: unknown): number | undefined {
  if (typeof value === "number" || (typeof value === "string" && /^\d{1,15}$/.test(value))) {
    const number = Number(value);
    if (!Number.isFinite(number) || number < 0) return undefined;
    return Math.floor(number < MILLISECONDS_FROM ? number * 1000 : number);
  }
  if (typeof value !== "string" || !ISO.test(value)) return undefined;
  const isZoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(value) || value.length === 10;
  const time = Date.parse(isZoned ? value.replace(" ", "T") : `${value.replace(" ", "T")}Z`);
  return Number.isNaN(time) ? undefined : time;
}
