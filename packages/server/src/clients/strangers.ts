import { grantTypes } from "../config-clients.ts";
import { isLoopback } from "../primitives/loopback.ts";
import { type Client, type ClientMetadata, type ClientType, type GrantType, isStranger } from "./client.ts";
import { clientName, NAME_PROBLEM } from "./client-ids.ts";
import { checkClientMetadata, type InvalidMetadata, invalidMetadata } from "./client-metadata.ts";

/** Scopes that say who somebody is, which every client may ask for: OpenID Connect Core §5.4, §11. */
const ALWAYS: readonly string[] = ["openid", "profile", "email", "offline_access"];

/** What a client that nobody here knows may be for: people are asked before it gets anything. */
const GRANTS_WITH_PEOPLE: ReadonlySet<string> = new Set<GrantType>([
  "authorization_code",
  "refresh_token",
  "urn:ietf:params:oauth:grant-type:device_code",
]);

export interface Stranger {
  readonly outcome: "good";
  /** Undefined: it does not say. */
  readonly name: string | undefined;
  readonly type: ClientType;
  readonly metadata: ClientMetadata;
}

/**
 * Reads what a client says of itself that registers itself (RFC 7591) or is a document. More lenient than with the
 * operator, where that harms nobody: RFC 7591 §3.2.1: "The authorization server MAY reject or replace any of the
 * client's requested metadata values submitted during the registration and substitute them with suitable values."
 */
export function readStranger(
  input: Readonly<Record<string, unknown>>,
  allowed: {
    /** Whether somebody with a right to has let it register: then it may also act for itself. */
    readonly vouched: boolean;
    /** How it authenticates when it does not say: RFC 7591 §2 has client_secret_basic, a document can have no secret. */
    readonly defaultMethod: "client_secret_basic" | "none";
    /** The scopes that it may ask for, besides those of OpenID Connect; undefined: every scope. */
    readonly scopes: readonly string[] | undefined;
  },
): Stranger | InvalidMetadata {
  const given = meant(input);
  const grants = grantsOf(given, allowed.vouched);
  if (grants.length === 0) {
    const problem = "has none that a client may have which registers itself";
    return invalidMetadata({ field: "grant_types", problem });
  }
  const method = given.token_endpoint_auth_method ?? allowed.defaultMethod;
  const members = {
    ...given,
    grant_types: grants,
    response_types: grants.includes("authorization_code") ? ["code"] : [],
    token_endpoint_auth_method: method,
  };
  const type = typeOf(members);
  const checked = checkClientMetadata({ type, input: members, byOperator: false });
  if (checked.outcome === "invalid") return checked;
  const { client_name: said } = given;
  const name = said === undefined ? undefined : clientName(String(said));
  if (said !== undefined && (name === undefined || typeof said !== "string")) {
    const problem = `is not good: ${NAME_PROBLEM.slice(0, -1).toLowerCase()}`;
    return invalidMetadata({ field: "client_name", problem });
  }
  const metadata = limitScope(checked.metadata, allowed.scopes);
  if (metadata === undefined)
    return invalidMetadata({
      field: "scope",
      problem: "has none that a client may have which registers itself",
    });
  return { outcome: "good", name, type, metadata };
}

/** RFC 7592 §2.2: what is null counts as left out; an empty text says no more. */
function meant(input: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(input).filter(([, value]) => value !== null && value !== "" && value !== undefined),
  );
}

/** Those of the asked ones that there are and that it may have; RFC 7591 §2: "If omitted, the default behavior is that the client will use only the authorization_code Grant Type." */
function grantsOf({ grant_types: asked }: Record<string, unknown>, vouched: boolean): GrantType[] {
  // Without the right to refresh, which many forget to ask for, people would sign in every ten minutes.
  if (!Array.isArray(asked)) return ["authorization_code", "refresh_token"];
  const known: ReadonlySet<unknown> = new Set(grantTypes);
  const may = (grant: GrantType) => vouched || GRANTS_WITH_PEOPLE.has(grant);
  return [...new Set(asked)].filter((grant): grant is GrantType => known.has(grant) && may(grant));
}

/**
 * What a client is, by what it says. It is native if it says so, or if it keeps no secret and is answered on the
 * device that it runs on: MCP clients register so, without application_type.
 */
function typeOf(given: Readonly<Record<string, unknown>>): ClientType {
  const { application_type, token_endpoint_auth_method: method, grant_types, redirect_uris } = given;
  const grants = grant_types as readonly GrantType[];
  const hasPeople = grants.some((grant) => GRANTS_WITH_PEOPLE.has(grant) && grant !== "refresh_token");
  if (!hasPeople) return "service";
  if (application_type === "native") return "native";
  const uris = Array.isArray(redirect_uris) ? redirect_uris : [];
  if (method !== "none") return uris.some(hasOwnScheme) && application_type !== "web" ? "native" : "web";
  if (application_type === "web") return "spa";
  return uris.length === 0 || uris.some((uri) => hasOwnScheme(uri) || isOnDevice(uri)) ? "native" : "spa";
}

const hasOwnScheme = (uri: unknown): boolean => typeof uri === "string" && !/^https?:/i.test(uri);

function isOnDevice(uri: unknown): boolean {
  const url = typeof uri === "string" ? URL.parse(uri) : null;
  return url?.protocol === "http:" && isLoopback(url.hostname);
}

/** @returns undefined when nothing of what it asks for is left */
function limitScope(
  metadata: ClientMetadata,
  scopes: readonly string[] | undefined,
): ClientMetadata | undefined {
  if (scopes === undefined) return metadata;
  const may = new Set([...ALWAYS, ...scopes]);
  if (metadata.scope === undefined) return { ...metadata, scope: [...may].join(" ") };
  const left = metadata.scope.split(" ").filter((scope) => may.has(scope));
  return left.length === 0 ? undefined : { ...metadata, scope: left.join(" ") };
}

/** The client as the settings of this moment let it be, whatever they were when it registered. */
export function limited(client: Client, scopes: readonly string[] | undefined): Client {
  if (!isStranger(client)) return client;
  const metadata = limitScope(client.metadata, scopes) ?? { ...client.metadata, scope: "openid" };
  return { ...client, metadata, mayAsk: scopes === undefined ? undefined : [...ALWAYS, ...scopes] };
}

/** Whether people who have consented should be asked again: it calls itself otherwise, or answers go elsewhere too. */
export function isAnother(
  before: Pick<Client, "name" | "metadata">,
  after: Pick<Client, "name" | "metadata">,
): boolean {
  const known = new Set(before.metadata.redirect_uris);
  return before.name !== after.name || after.metadata.redirect_uris.some((uri) => !known.has(uri));
}
