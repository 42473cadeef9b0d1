import { limits } from "../primitives/limits.ts";
import { checkEmail, checkName, cleanText } from "../users/names.ts";
import type { ProfileClaims } from "./presets.ts";

/** Somebody at a provider, in its words as far as they can be taken. */
export interface ForeignPerson {
  readonly issuer: string;
  /** Who it is there; never changes. */
  readonly subject: string;
  /** A wish: what the person is called there. */
  readonly username: string | undefined;
  readonly name: string | undefined;
  /** Only where the provider says that it is verified. */
  readonly email: string | undefined;
  /** Only where they are to be kept. */
  readonly tokens?: ForeignTokens | undefined;
}

/** What a provider has handed out, RFC 6749 §5.1. */
export interface ForeignTokens {
  readonly accessToken: string;
  readonly tokenType: string;
  readonly refreshToken?: string | undefined;
  readonly idToken?: string | undefined;
  /** What it is good for, where the provider says that it is not what was asked for. */
  readonly scope?: string | undefined;
  /** Milliseconds since 1970; undefined where the provider does not say. */
  readonly expiresAt?: number | undefined;
}

const standardClaims = {
  subject: "sub",
  username: "preferred_username",
  name: "name",
  email: "email",
  emailVerified: "email_verified",
} as const satisfies ProfileClaims;

/** Undefined when the claims do not say who it is. What else in them makes no sense is left out. */
export function personFrom(
  claims: unknown,
  { issuer, where = standardClaims }: { issuer: string; where?: ProfileClaims },
): ForeignPerson | undefined {
  const subject = subjectFrom(memberAt(claims, where.subject));
  if (subject === undefined) return undefined;
  const isVerified = where.emailVerified === true || isTrue(memberAt(claims, where.emailVerified));
  return {
    issuer,
    subject,
    username: cleanText(textAt(claims, where.username), limits.nameCharactersMax),
    name: nameFrom(textAt(claims, where.name)),
    email: isVerified ? emailFrom(textAt(claims, where.email)) : undefined,
  };
}

/** GitHub's list: the address that the person has made the first one, if it is verified. */
export function verifiedEmailFrom(list: unknown): string | undefined {
  if (!Array.isArray(list)) return undefined;
  const primary = list.find((one) => memberAt(one, "primary") === true && isTrue(memberAt(one, "verified")));
  return emailFrom(textAt(primary, "email"));
}

/** A number where a provider counts its people. Beyond 2^53 two of them would be one. */
function subjectFrom(value: unknown): string | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) ? String(value) : undefined;
  const isGood = typeof value === "string" && /^[\x21-\x7e]+$/.test(value);
  return isGood && value.length <= limits.subjectCharactersMax ? value : undefined;
}

/** Apple writes "true". */
const isTrue = (value: unknown) => value === true || value === "true";

function memberAt(value: unknown, path: string | true | undefined): unknown {
  if (typeof path !== "string") return undefined;
  let found = value;
  for (const name of path.split(".")) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as Record<string, unknown>)[name];
  }
  return found;
}

function textAt(claims: unknown, path: string | undefined): string | undefined {
  const value = memberAt(claims, path);
  return typeof value === "string" && value.isWellFormed() ? value : undefined;
}

function nameFrom(text: string | undefined): string | undefined {
  const checked = text === undefined ? undefined : checkName(text);
  return checked?.ok === true ? checked.value : undefined;
}

function emailFrom(text: string | undefined): string | undefined {
  const checked = text === undefined ? undefined : checkEmail(text);
  return checked?.ok === true ? checked.value : undefined;
}
