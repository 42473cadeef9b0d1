import { createIssuer, type IssuerRequest } from "./issuer.ts";
import { KeyturnError } from "./keyturn-error.ts";
import type { OidcSettings } from "./oidc-options.ts";
import { parseUrl } from "./options.ts";
import type { Json } from "./replies.ts";
import type { World } from "./world.ts";

/** What a provider says of itself: OpenID Connect Discovery §3, RFC 8414 §2. */
export interface ProviderMetadata {
  readonly issuer: string;
  readonly authorization_endpoint: string;
  readonly token_endpoint: string;
  readonly revocation_endpoint?: string;
  readonly end_session_endpoint?: string;
  readonly userinfo_endpoint?: string;
  readonly pushed_authorization_request_endpoint?: string;
  readonly require_pushed_authorization_requests?: boolean;
  readonly authorization_response_iss_parameter_supported?: boolean;
  readonly code_challenge_methods_supported?: readonly string[];
  readonly dpop_signing_alg_values_supported?: readonly string[];
}

/** Names of a form's fields; one that is undefined is left out, a list is repeated. */
export type Form = Readonly<Record<string, string | number | readonly string[] | undefined>>;

export interface Posting extends Pick<IssuerRequest, "key" | "attempt"> {
  readonly form: Form;
  readonly keepalive?: boolean | undefined;
}

/** The OpenID provider, as the client's own requests see it. */
export interface OidcProvider {
  /** @throws KeyturnError `invalid_issuer`, `unavailable`. */
  metadata(): Promise<ProviderMetadata>;
  /** A form of this client's to an endpoint. No error says what was in it. */
  post<T>(endpoint: string, posting: Posting, read: (body: Json) => T | undefined): Promise<T>;
}

/**
 * Tokens and ID tokens are believed because TLS says whose they are (Core §3.1.3.7 item 6): without it only on the
 * machine itself.
 */
function isSafe(address: unknown): address is string {
  const url = typeof address === "string" ? parseUrl(address, undefined) : undefined;
  const isLoopback = /^(?:localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url?.hostname ?? "");
  return url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback);
}

const endpoints = [
  "revocation_endpoint",
  "end_session_endpoint",
  "userinfo_endpoint",
  "pushed_authorization_request_endpoint",
];

export const encodeForm = (form: Form): URLSearchParams =>
  new URLSearchParams(
    Object.entries(form).flatMap(([name, value]): [string, string][] =>
      [value ?? []].flat().map((one) => [name, `${one}`]),
    ),
  );

export function createProvider(world: World, { issuer, clientId }: OidcSettings): OidcProvider {
  // By whole addresses: endpoints may be anywhere.
  const { ask } = createIssuer({ ...world, settings: { ...world.settings, issuer: "" } });
  let known: Promise<ProviderMetadata> | undefined;
  const refuse = (message: string) => new KeyturnError("invalid_issuer", message);

  /** Discovery §4 appends the well-known path; RFC 8414 §3.1 inserts it, for servers that know no other place. */
  function places(): string[] {
    const { origin, pathname } = new URL(issuer);
    const path = pathname.replace(/\/$/, "");
    return [
      `${origin}${path}/.well-known/openid-configuration`,
      `${origin}/.well-known/oauth-authorization-server${path}`,
    ];
  }

  async function discover(): Promise<ProviderMetadata> {
    if (!isSafe(issuer)) throw refuse(`${issuer} has to be an https address`);
    for (const path of places()) {
      const found = await ask({ path, init: { method: "GET" } }, (body) => body).catch(
        (error: KeyturnError) => {
          if (error.status !== 404) throw error;
        },
      );
      if (found) return read(found);
    }
    throw refuse(`${issuer} has no discovery document at ${places().join(" or ")}`);
  }

  function read(found: Json): ProviderMetadata {
    // Discovery §4.3: "The issuer value returned MUST be identical to the Issuer URL that was used as the prefix".
    if (found.issuer !== issuer) {
      const says = isSafe(found.issuer) ? found.issuer : "something else";
      throw refuse(
        `The discovery document of ${issuer} is of ${says}: set issuer to exactly that, if it is right`,
      );
    }
    const missing = ["authorization_endpoint", "token_endpoint"].find((name) => !isSafe(found[name]));
    if (missing) throw refuse(`The discovery document of ${issuer} has no ${missing} with an https address`);
    // What may be missing counts as missing when nothing may be sent there.
    const unsafe = endpoints.filter((name) => !isSafe(found[name])).map((name) => [name, undefined]);
    return { ...found, ...Object.fromEntries(unsafe) } as ProviderMetadata;
  }

  return {
    metadata() {
      known ??= discover().catch((error) => {
        known = undefined;
        throw error;
      });
      return known;
    },
    async post(path, { form, keepalive, key, attempt }, readBody) {
      const init = { body: encodeForm({ ...form, client_id: clientId }), ...(keepalive && { keepalive }) };
      try {
        return await ask({ path, key, attempt, init }, readBody);
      } catch (error) {
        const { code, message, status, reason, retryAfterSeconds } = error as KeyturnError;
        const secrets = [form.code, form.code_verifier, form.refresh_token, form.token];
        // A server may quote in its sentence what it has been sent.
        if (!secrets.some((secret) => secret !== undefined && message.includes(`${secret}`))) throw error;
        throw new KeyturnError(code, `The server answered ${status}`, { status, reason, retryAfterSeconds });
      }
    },
  };
}
