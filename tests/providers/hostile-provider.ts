import type { RequestListener } from "node:http";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import type { Port } from "./foreign-provider.ts";

/** What the provider answers in place of an honest answer. Each test sets the one lie that it is about. */
export interface Lies {
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
  /** The whole ID token. */
  readonly idToken?: string;
  readonly isSignedByAnother?: boolean;
  readonly userInfo?: Readonly<Record<string, unknown>>;
  /** Answers in the place of an endpoint. */
  readonly at?: Readonly<Record<string, RequestListener>>;
}

export const TWIN = { id: "keyturn-at-twin", secret: "twin-client-secret-0123456789abcdef" };

/** A provider that was made by hand and lies as it is told. */
export async function startHostileProvider(port: Port) {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const { privateKey: anothersKey } = await generateKeyPair("ES256");
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "twin-1", alg: "ES256", use: "sig" }] };
  let lies: Lies = {};
  let nonce = "";
  const asked: string[] = [];

  const honest = () => ({
    iss: port.url,
    aud: TWIN.id,
    sub: "person-1",
    nonce,
    email: "mallory@twin.example",
    email_verified: true,
    preferred_username: "mallory",
  });

  async function idToken(): Promise<string> {
    if (lies.idToken !== undefined) return lies.idToken;
    const now = Math.floor(Date.now() / 1000);
    const claims = { ...honest(), iat: now, exp: now + 60, ...lies.claims };
    return new SignJWT(claims)
      .setProtectedHeader({ alg: "ES256", kid: "twin-1", ...lies.header })
      .sign(lies.isSignedByAnother === true ? anothersKey : privateKey);
  }

  const answers: Record<string, () => Promise<unknown>> = {
    "/.well-known/openid-configuration": async () => ({
      issuer: port.url,
      authorization_endpoint: `${port.url}/authorize`,
      token_endpoint: `${port.url}/token`,
      jwks_uri: `${port.url}/jwks`,
      userinfo_endpoint: `${port.url}/userinfo`,
      response_types_supported: ["code"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["ES256"],
      authorization_response_iss_parameter_supported: true,
      ...lies.metadata,
    }),
    "/token": async () => ({
      access_token: "access-token-of-the-twin-0123456789",
      token_type: "Bearer",
      expires_in: 60,
      id_token: await idToken(),
    }),
    "/jwks": async () => jwks,
    "/userinfo": async () => ({ ...honest(), ...lies.userInfo }),
  };

  port.answerWith((request, response) => {
    const path = (request.url ?? "").split("?")[0] ?? "";
    asked.push(path);
    const lie = lies.at?.[path];
    if (lie !== undefined) return lie(request, response);
    const answer = answers[path];
    if (answer === undefined) return void response.writeHead(404).end();
    answer().then((json) => {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(json));
    });
  });

  return {
    issuer: port.url,
    /** Paths that were asked for. */
    asked,
    tell(next: Lies): void {
      lies = next;
      asked.length = 0;
    },
    /** What the authorization endpoint would have learned from the browser. */
    knows(url: URL): void {
      nonce = url.searchParams.get("nonce") ?? "";
    },
    /** An honest ID token, for whoever wants to use it in the wrong place. */
    sign: idToken,
  };
}
