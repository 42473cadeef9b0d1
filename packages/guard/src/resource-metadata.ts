import { parseSafeUrl } from "./bounded-fetch.ts";
import { show } from "./option-values.ts";

/** What an API says of itself (RFC 9728 §2), so that a client that knows nothing but its address finds everything else. */
export type ResourceMetadataOptions = {
  /**
   * The resource identifier: the address by which clients know this API, as `https://api.example.com` or
   * `https://api.example.com/mcp`. They ask for tokens by it (RFC 8707), so it is what `aud` must hold unless `audience`
   * says otherwise. Compared as it is written.
   */
  readonly resource: string;
  /** The scopes that are asked for when a challenge names none: what is needed for the basics. */
  readonly scopesSupported?: readonly string[] | undefined;
  /** A name for people to read. */
  readonly resourceName?: string | undefined;
  /** Pages for people: for developers, what is done with data, and the terms. */
  readonly resourceDocumentation?: string | undefined;
  readonly resourcePolicyUri?: string | undefined;
  readonly resourceTosUri?: string | undefined;
};

/** The document, by the names of RFC 9728 §2. */
export type ResourceMetadataDocument = {
  readonly resource: string;
  readonly authorization_servers: readonly string[];
  readonly scopes_supported?: readonly string[];
  readonly bearer_methods_supported: readonly ["header"];
  readonly resource_name?: string;
  readonly resource_documentation?: string;
  readonly resource_policy_uri?: string;
  readonly resource_tos_uri?: string;
  readonly dpop_signing_alg_values_supported?: readonly string[];
  readonly dpop_bound_access_tokens_required?: true;
};

export type ResourceMetadata = {
  /** Where clients find the document: what challenges point to. */
  readonly url: string;
  /** The paths that this API answers with it. */
  readonly paths: readonly string[];
  readonly document: ResourceMetadataDocument;
};

/** What the document takes from the guard's other options. */
export type MetadataContext = {
  readonly issuer: string;
  readonly dpop: "accept" | "require" | "off";
  readonly dpopAlgorithms: ReadonlySet<string>;
};

const wellKnown = "/.well-known/oauth-protected-resource";
// RFC 3986: what an address may be written with; it stands between quotes in a header.
const addressCharacters = /^[\w\-.~:/?#[\]@!$&'()*+,;=%]+$/;
/** RFC 6749 §3.3: `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`. */
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

function readIdentifier(resource: unknown): URL {
  const name = "createGuard: resourceMetadata.resource";
  if (typeof resource !== "string" || !addressCharacters.test(resource)) {
    throw new TypeError(`${name} takes the address of this API; got ${show(resource)}.`);
  }
  const url = parseSafeUrl(resource, name);
  // RFC 9728 §1.2: the identifier is "a URL that uses the https scheme and has no fragment component". Plain http is for
  // this machine, while developing.
  if (resource.includes("#") || url.username !== "" || url.password !== "") {
    throw new TypeError(`${name} takes an address without a fragment and a user; got ${show(resource)}.`);
  }
  return url;
}

function readScopes(scopes: readonly string[] | undefined): readonly string[] {
  const all = scopes ?? [];
  if (Array.isArray(all) && all.every((one) => typeof one === "string" && scopeToken.test(one))) return all;
  throw new TypeError(
    `createGuard: resourceMetadata.scopesSupported takes a list of scopes; got ${show(scopes)}.`,
  );
}

function readPage(name: string, address: string | undefined): string | undefined {
  if (address !== undefined) parseSafeUrl(address, `createGuard: resourceMetadata.${name}`);
  return address;
}

function documentOf(options: ResourceMetadataOptions, context: MetadataContext): ResourceMetadataDocument {
  const { issuer, dpop, dpopAlgorithms } = context;
  const scopes = readScopes(options.scopesSupported);
  const optional = {
    // RFC 9728 §3.2: "Parameters with zero elements MUST be omitted from the response."
    scopes_supported: scopes.length === 0 ? undefined : Object.freeze([...scopes]),
    resource_name: options.resourceName,
    resource_documentation: readPage("resourceDocumentation", options.resourceDocumentation),
    resource_policy_uri: readPage("resourcePolicyUri", options.resourcePolicyUri),
    resource_tos_uri: readPage("resourceTosUri", options.resourceTosUri),
    dpop_signing_alg_values_supported: dpop === "off" ? undefined : Object.freeze([...dpopAlgorithms]),
    dpop_bound_access_tokens_required: dpop === "require" ? true : undefined,
  };
  const said = Object.entries(optional).filter(([, value]) => value !== undefined);
  return Object.freeze({
    resource: options.resource,
    authorization_servers: Object.freeze([issuer]),
    bearer_methods_supported: Object.freeze(["header"] as const),
    ...Object.fromEntries(said),
  });
}

/**
 * The document and where it is.
 *
 * @throws TypeError that names the option.
 */
export function readResourceMetadata(
  options: ResourceMetadataOptions | undefined,
  context: MetadataContext,
): ResourceMetadata | undefined {
  if (options === undefined) return undefined;
  const { origin, pathname, search } = readIdentifier(options.resource);
  // RFC 9728 §3.1: "any terminating slash (/) following the host component MUST be removed before inserting
  // /.well-known/ and the well-known URI path suffix between the host component and the path and/or query components".
  const inserted = `${wellKnown}${pathname === "/" ? "" : pathname}`;
  // Clients of MCP also try the address without a path, and some take a slash off the end.
  const paths = new Set([inserted, wellKnown, inserted.replace(/\/$/, "")]);
  return Object.freeze({
    url: `${origin}${inserted}${search}`,
    paths: Object.freeze([...paths]),
    document: documentOf(options, context),
  });
}
