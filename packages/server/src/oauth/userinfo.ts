import type { Guard, Identity } from "@keyturn/guard";
import { z } from "zod";
import type { Clients } from "../clients/clients.ts";
import { Refusal } from "../errors.ts";
import { invalidToken, refusedByGuard } from "../http/authenticate.ts";
import type { Answer, Endpoint, EndpointRequest } from "../http/endpoint.ts";
import type { SigningKeys } from "../keys/signing-keys.ts";
import { isId } from "../primitives/id.ts";
import type { Standings } from "../sessions/standing.ts";
import { signJwt } from "../tokens/jwt.ts";
import type { Users } from "../users/users.ts";
import { profileFor } from "./issuing.ts";

interface Dependencies {
  /** Of tokens for the default audience, or for the issuer itself. */
  readonly userinfoGuard: () => Guard;
  readonly standings: Standings;
  readonly users: Pick<Users, "findById">;
  readonly findClient: Clients["find"];
  readonly signingKeys: Pick<SigningKeys, "current" | "ensure">;
  readonly settings: { readonly issuer: string };
}

const reply = z.looseObject({ sub: z.string() }).describe("OpenID Connect Core §5.3.2");

/** GET and POST /oauth/userinfo, OpenID Connect Core §5.3: what the scopes of an access token say of its user. */
export function userinfoEndpoints(dependencies: Dependencies): Endpoint[] {
  const { userinfoGuard, standings, users, findClient, signingKeys, settings } = dependencies;

  async function identityOf(request: EndpointRequest): Promise<Identity> {
    const { scheme, token } = presentedToken(request);
    const presented =
      scheme === "Bearer"
        ? undefined
        : ({ scheme, proof: request.header("dpop"), method: request.method, url: request.url() } as const);
    const verification = await userinfoGuard().verify(token, { scopes: ["openid"] }, presented);
    if (verification.ok) return verification.identity;
    throw refusedByGuard(verification.refusal);
  }

  async function handle(request: EndpointRequest): Promise<Answer> {
    const identity = await identityOf(request);
    const { sessionId, clientId = "", issuedAt, subject } = identity;
    if (!isId(sessionId)) throw invalidToken();
    const standing = await standings.of({ sessionId, issuedAt });
    if (standing.standing !== "good" || standing.kind === "service") throw invalidToken();
    const [user, client] = await Promise.all([users.findById(standing.userId), findClient(clientId)]);
    if (user === undefined || user.disabledAt !== undefined || client === undefined) throw invalidToken();
    // §5.3.2: "The sub Claim in the UserInfo Response MUST be verified to exactly match the sub Claim in the ID
    // Token": the access token has the same one, pairwise where the client's are.
    const claims = { sub: subject, ...profileFor(user, identity.scopes.join(" ")) };
    const algorithm = client.metadata.userinfo_signed_response_alg;
    if (algorithm === undefined) return { status: 200, json: claims };
    await signingKeys.ensure(algorithm);
    // §5.3.2: "If signed, the UserInfo Response MUST contain the Claims iss (issuer) and aud (audience)".
    const signed = { iss: settings.issuer, aud: client.id, ...claims };
    const text = signJwt({ key: signingKeys.current(algorithm), type: "JWT", claims: signed });
    return { status: 200, text, headers: { "Content-Type": "application/jwt" } };
  }

  const row = {
    path: "/oauth/userinfo",
    access: "public",
    requestHeaders: {
      Authorization: { about: "Bearer or DPoP, and the access token" },
      DPoP: { about: "A proof with `ath`, for a token that is bound, RFC 9449 §7.1" },
    },
    success: { status: 200, about: "Claims of the user, as JSON or as a JWT", schema: reply },
    refusals: ["missing_token", "invalid_token", "insufficient_scope", "invalid_request"],
    anyOrigin: true,
    handle,
  } as const;
  return [
    { ...row, method: "GET", summary: "What the token's scopes say of its user, OpenID Connect Core §5.3" },
    {
      ...row,
      method: "POST",
      summary: "The same; the token may stand in the form, RFC 6750 §2.2",
      parameters: { access_token: { about: "The access token, where it is not in the header" } },
    },
  ];
}

function presentedToken({ header, parameters }: EndpointRequest): {
  scheme: "Bearer" | "DPoP";
  token: string;
} {
  const authorization = header("authorization");
  const inForm = parameters.get("access_token");
  if (authorization === undefined) {
    // RFC 6750 §3.1: without any authentication information, the challenge SHOULD NOT carry an error code.
    if (inForm === undefined)
      throw new Refusal("missing_token", { headers: { "WWW-Authenticate": "Bearer, DPoP" } });
    return { scheme: "Bearer", token: inForm };
  }
  // RFC 6750 §2: "Clients MUST NOT use more than one method to transmit the token in each request."
  if (inForm !== undefined) {
    throw new Refusal("invalid_request", {
      description: "Send the access token once: in the header or in the form.",
      headers: { "WWW-Authenticate": 'Bearer error="invalid_request"' },
    });
  }
  const [, scheme, token] = /^(Bearer|DPoP) +([A-Za-z0-9\-._~+/]+=*)$/i.exec(authorization) ?? [];
  if (scheme === undefined || token === undefined) throw invalidToken();
  return { scheme: scheme.toLowerCase() === "dpop" ? "DPoP" : "Bearer", token };
}
