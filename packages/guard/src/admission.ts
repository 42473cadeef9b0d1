import type { Guard, Verification } from "./guard.ts";
import type { Identity } from "./identity.ts";
import type { Refusal } from "./refusal.ts";
import type { Requirement } from "./requirement.ts";

/** A requirement of a route. With `optional` a request without a token passes, with no identity; a bad token never. */
export type RouteRequirement = Requirement & { readonly optional?: boolean };

/** What an adapter does with a request: let it through, as somebody or as nobody, or answer with the refusal. */
export type Admission =
  | { readonly ok: true; readonly identity: Identity | undefined }
  | { readonly ok: false; readonly refusal: Refusal };

type Credential =
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "none" }
  | { readonly kind: "malformed" };

const none: Credential = { kind: "none" };
const malformed: Credential = { kind: "malformed" };
const anonymous: Admission = { ok: true, identity: undefined };
const space = 0x20;

/**
 * Finds the token in an Authorization header (RFC 6750 §2.1); tokens in the query or the body are never looked for.
 * Another scheme counts as no token: it is for somebody else.
 */
export function readAuthorization(header: string | undefined): Credential {
  if (header === undefined || header === "") return none;
  // RFC 9110 §11.1: the scheme is case-insensitive.
  if (header.slice(0, 6).toLowerCase() !== "bearer") return none;
  if (header.length > 6 && header.charCodeAt(6) !== space) return header[6] === "," ? malformed : none;
  let start = 7;
  while (header.charCodeAt(start) === space) start++;
  const token = header.slice(start);
  // A comma or a space: two headers joined into one, or two credentials. RFC 6750 §3.1: a request that "repeats the
  // same parameter, uses more than one method for including an access token, or is otherwise malformed".
  if (token === "" || token.includes(",") || token.includes(" ")) return malformed;
  return { kind: "token", token };
}

/** One header as most frameworks have it, or all the values where a framework keeps them apart. */
export type AuthorizationHeader = string | readonly string[] | undefined;

/** Decides on a request by its Authorization header. Answers at once whenever the guard does. */
export function admit(
  guard: Guard,
  header: AuthorizationHeader,
  requirement: RouteRequirement | undefined,
): Admission | Promise<Admission> {
  const isRepeated = typeof header === "object" && header.length > 1;
  const credential = isRepeated
    ? malformed
    : readAuthorization(typeof header === "object" ? header[0] : header);
  switch (credential.kind) {
    case "token":
      return guard.verify(credential.token, requirement) satisfies Verification | Promise<Verification>;
    case "none":
      if (requirement?.optional === true) return anonymous;
      return { ok: false, refusal: guard.refuse("missing", requirement) };
    case "malformed":
      return { ok: false, refusal: guard.refuse("malformed_header", requirement) };
  }
}
