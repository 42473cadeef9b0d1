import { readFile } from "node:fs/promises";
import type { ClientMetadataInput } from "../../config-clients.ts";
import { limits } from "../../primitives/limits.ts";
import { grantNames, grantTypesByName } from "../grant-names.ts";
import { WrongUsage } from "../outcome.ts";

/** What the options of `client add` and `client set` have in common. */
export interface ClientOptions {
  readonly redirectUri?: string[];
  readonly postLogoutRedirectUri?: string[];
  readonly scope?: string;
  readonly grant?: string[];
  readonly authMethod?: NonNullable<ClientMetadataInput["token_endpoint_auth_method"]>;
  readonly jwksFile?: string;
  readonly jwksUri?: string;
  readonly resource?: string[];
  readonly backchannelLogoutUri?: string;
  readonly trusted?: boolean;
  readonly profile?: "default" | "fapi2";
  readonly idTokenAlg?: NonNullable<ClientMetadataInput["id_token_signed_response_alg"]>;
  readonly pairwise?: boolean;
  readonly sectorIdentifierUri?: string;
  readonly requirePar?: boolean;
  readonly dpop?: boolean;
  readonly assertionAudience?: "issuer" | "endpoint_too";
  readonly rotation?: boolean;
  readonly exchangeResource?: string[];
  readonly impersonation?: boolean;
  readonly clientUri?: string;
}

const isGrantName = (name: string): name is keyof typeof grantTypesByName =>
  Object.hasOwn(grantTypesByName, name);

/** The members of the metadata that the options speak of. @throws WrongUsage */
export async function metadataFrom(options: ClientOptions): Promise<ClientMetadataInput> {
  const grants = options.grant?.map((name) => {
    if (isGrantName(name)) return grantTypesByName[name];
    throw new WrongUsage(`There is no grant ${name}; --grant takes ${grantNames.join(", ")}.`);
  });
  const members: { [Name in keyof ClientMetadataInput]: ClientMetadataInput[Name] | undefined } = {
    redirect_uris: options.redirectUri,
    post_logout_redirect_uris: options.postLogoutRedirectUri,
    scope: options.scope,
    grant_types: grants,
    response_types: grants && (grants.includes("authorization_code") ? ["code"] : []),
    token_endpoint_auth_method: options.authMethod,
    jwks: options.jwksFile === undefined ? undefined : await readKeys(options.jwksFile),
    jwks_uri: options.jwksUri,
    keyturn_resources: options.resource,
    backchannel_logout_uri: options.backchannelLogoutUri,
    keyturn_trusted: options.trusted,
    keyturn_profile: options.profile,
    id_token_signed_response_alg: options.idTokenAlg,
    subject_type: options.pairwise === undefined ? undefined : options.pairwise ? "pairwise" : "public",
    sector_identifier_uri: options.sectorIdentifierUri,
    require_pushed_authorization_requests: options.requirePar,
    dpop_bound_access_tokens: options.dpop,
    keyturn_assertion_audience: options.assertionAudience,
    keyturn_refresh_rotation: options.rotation,
    keyturn_exchange_resources: options.exchangeResource,
    keyturn_may_impersonate: options.impersonation,
    client_uri: options.clientUri,
  };
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

async function readKeys(file: string): Promise<NonNullable<ClientMetadataInput["jwks"]>> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new WrongUsage(`${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
  const wrong = () => new WrongUsage(`${file} is no JWK Set; --jwks-file takes one, as in {"keys":[…]}.`);
  if (text.length > limits.clientKeysBytesMax) throw wrong();
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && "keys" in value && Array.isArray(value.keys))
      return { keys: value.keys };
  } catch {
    // What stands there is not shown: it may be a private key.
  }
  throw wrong();
}
