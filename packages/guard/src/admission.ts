import type { Scheme } from "./binding.ts";
import type { Guard } from "./guard.ts";
import type { Identity } from "./identity.ts";
import type { ProofHeader } from "./proof-form.ts";
import type { Refusal } from "./refusal.ts";
import type { Requirement } from "./requirement.ts";

/** A requirement of a route. With `optional` a request without a token passes, with no identity; a bad token never. */
export type RouteRequirement = Requirement & { readonly optional?: boolean };

/** What an adapter does with a request: let it through, as somebody or as nobody, or answer with the refusal. */
export type Admission =
  | { readonly ok: true; readonly identity: Identity | undefined }
  | { readonly ok: false; readonly refusal: Refusal };

type Credential =
  | { readonly kind: "token"; readonly token: string; readonly scheme: Scheme }
  | { readonly kind: "none" }
  | { readonly kind: "malformed"; readonly scheme: Scheme };

const none: Credential = { kind: "none" };
const malformed: Credential = { kind: "malformed", scheme: "Bearer" };
const malformedDpop: Credential = { kind: "malformed", scheme: "DPoP" };
const anonymous: Admission = { ok: true, identity: undefined };
const space = 0x20;

function schemeOf(header: string): Scheme | undefined {
  // RFC 9110 §11.1: the scheme is case-insensitive.
  if (header.slice(0, 6).toLowerCase() === "bearer") return "Bearer";
  return header.slice(0, 4).toLowerCase() === "dpop" ? "DPoP" : undefined;
}

/**
 * Finds the token in an Authorization header (RFC 6750 §2.1, RFC 9449 §7.1); tokens in the query or the body are never
 * looked for. Another scheme counts as no token: it is for somebody else.
 */
export function readAuthorization(header: string | undefined): Credential {
  if (header === undefined || header === "") return none;
  const scheme = schemeOf(header);
  if (scheme === undefined) return none;
  const { length } = scheme;
  const wrong = scheme === "DPoP" ? malformedDpop : malformed;
  if (header.length > length && header.charCodeAt(length) !== space) {
    return header[length] === "," ? wrong : none;
  }
  let start = length + 1;
  while (header.charCodeAt(start) === space) start++;
  const token = header.slice(start);
  // A comma or a space: two headers joined into one, or two credentials. RFC 6750 §3.1: a request that "repeats the
  // same parameter, uses more than one method for including an access token, or is otherwise malformed".
  if (token === "" || token.includes(",") || token.includes(" ")) return wrong;
  return { kind: "token", token, scheme };
}

/** One header as most frameworks have it, or all the values where a framework keeps them apart. */
export type AuthorizationHeader = string | readonly string[] | undefined;

/** How a framework's request is read. All but `authorization` is asked only for tokens that come with a proof. */
export type RequestReader<R> = {
  authorization(request: R): AuthorizationHeader;
  proof(request: R): ProofHeader;
  method(request: R): string;
  /** The absolute URL as this process sees it; empty when there is none. */
  url(request: R): string;
};

/** Makes what decides on the requests of a route. It answers at once whenever the guard does. */
export function createAdmission<R>(
  guard: Guard,
  requirement: RouteRequirement | undefined,
  reader: RequestReader<R>,
): (request: R) => Admission | Promise<Admission> {
  return function admit(request) {
    const header = reader.authorization(request);
    const isRepeated = typeof header === "object" && header.length > 1;
    const credential = isRepeated
      ? malformed
      : readAuthorization(typeof header === "object" ? header[0] : header);
    switch (credential.kind) {
      case "token":
        if (credential.scheme === "Bearer") return guard.verify(credential.token, requirement);
        return guard.verify(credential.token, requirement, {
          scheme: credential.scheme,
          proof: reader.proof(request),
          method: reader.method(request),
          url: reader.url(request),
        });
      case "none":
        if (requirement?.optional === true) return anonymous;
        return { ok: false, refusal: guard.refuse("missing", requirement) };
      case "malformed":
        return { ok: false, refusal: guard.refuse("malformed_header", requirement, credential) };
    }
  };
}
