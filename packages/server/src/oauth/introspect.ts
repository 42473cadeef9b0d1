import { z } from "zod";
import { type Client, isConfidential } from "../clients/client.ts";
import { versionOf } from "../clients/known-clients.ts";
import { Refusal } from "../errors.ts";
import { invalidClient } from "../http/authenticate.ts";
import type { Answer, ClientRequest, Endpoint } from "../http/endpoint.ts";
import type { SigningKeys } from "../keys/signing-keys.ts";
import { type Clock, toSeconds } from "../primitives/clock.ts";
import { limits } from "../primitives/limits.ts";
import type { Standings } from "../sessions/standing.ts";
import type { Turning } from "../sessions/turning.ts";
import { signJwt } from "../tokens/jwt.ts";
import type { OwnToken, OwnTokens } from "../tokens/own-tokens.ts";
import { identifiersOf } from "./resources.ts";
import type { Subjects } from "./subjects.ts";
import { clientParameters } from "./token.ts";

interface Dependencies {
  readonly ownTokens: OwnTokens;
  readonly standings: Standings;
  readonly turning: Pick<Turning, "examine">;
  readonly subjects: Subjects;
  readonly signingKeys: Pick<SigningKeys, "current" | "ensure">;
  readonly settings: { readonly issuer: string; readonly audience: string };
  readonly clock: Clock;
}

type Introspection = { readonly active: boolean } & Readonly<Record<string, unknown>>;

const inactive: Introspection = { active: false };
const SIGNED = "application/token-introspection+jwt";
const reply = z
  .looseObject({ active: z.boolean() })
  .describe("RFC 7662 §2.2: when active, the claims of the token as well");

/** POST /oauth/introspect, RFC 7662: what a token is worth now. */
export function introspectEndpoint(dependencies: Dependencies): Endpoint {
  const { ownTokens, standings, turning, subjects, signingKeys, settings, clock } = dependencies;

  async function ofAccessToken(token: OwnToken, client: Client): Promise<Introspection | "changed"> {
    if (!mayKnow(client, token, settings.audience)) return inactive;
    const found = await standings.of(token, { id: client.id, version: versionOf(client) });
    if (found.standing === "caller_changed") return "changed";
    if (found.standing === "over") return inactive;
    const token_type = token.keyThumbprint === undefined ? "Bearer" : "DPoP";
    return { active: true, token_type, ...token.claims };
  }

  async function ofRefreshToken(token: string, client: Client): Promise<Introspection | "changed"> {
    const clientVersion = versionOf(client);
    const found = await turning.examine({ token, clientId: client.id, clientVersion });
    if (found.standing === "refused" && found.reason === "client_changed") return "changed";
    // RFC 7662 §4: another client's token is none of its business: `wrong_client` is inactive like any other.
    if (found.standing !== "good") return inactive;
    const { session, refreshExpiresAt } = found;
    return {
      active: true,
      iss: settings.issuer,
      client_id: client.id,
      sub: subjects.of(client, session.userId),
      sid: session.sessionId,
      scope: session.scope || undefined,
      exp: toSeconds(refreshExpiresAt),
    };
  }

  async function introspect(token: string, client: Client): Promise<Introspection | "changed"> {
    if (token.startsWith("krt_")) return ofRefreshToken(token, client);
    const own = ownTokens.read(token);
    return own === undefined ? inactive : ofAccessToken(own, client);
  }

  async function handle(request: ClientRequest): Promise<Answer> {
    const token = request.parameters.get("token");
    if (token === undefined) throw new Refusal("invalid_request", { description: "token is missing." });
    const { client, introspection } = await introspectAsItIs(request, token);
    if (!wantsJwt(request.header("accept"))) return { status: 200, json: introspection };
    // RFC 9701 §6: introspection_signed_response_alg, "the default, if omitted, is RS256".
    const algorithm = client.metadata.introspection_signed_response_alg ?? "RS256";
    await signingKeys.ensure(algorithm);
    const claims = {
      iss: settings.issuer,
      // RFC 9701 §5: "aud: MUST identify the resource server receiving the token introspection response".
      aud: client.id,
      iat: toSeconds(clock.now()),
      token_introspection: introspection,
    };
    const text = signJwt({ key: signingKeys.current(algorithm), type: "token-introspection+jwt", claims });
    return { status: 200, text, headers: { "Content-Type": SIGNED } };
  }

  async function introspectAsItIs(request: ClientRequest, token: string) {
    let { client } = request;
    for (let look = 0; look < 2; look++) {
      // RFC 7662 §2.1: "the endpoint MUST also require some form of authorization": an id alone is none.
      if (!isConfidential(client)) throw invalidClient();
      const introspection =
        token.length > limits.parameterCharactersMax ? inactive : await introspect(token, client);
      if (introspection !== "changed") return { client, introspection };
      client = await request.clientAnew();
    }
    throw new Refusal("busy", { headers: { "Retry-After": "1" } });
  }

  return {
    method: "POST",
    path: "/oauth/introspect",
    summary:
      "What an access or refresh token is worth now, RFC 7662; signed (RFC 9701) when the Accept header asks for it",
    access: "client",
    remembersClient: () => true,
    parameters: {
      token: { about: "An access token for this resource, or one of this client's own tokens" },
      token_type_hint: { about: "access_token or refresh_token; not needed" },
      ...clientParameters,
    },
    requestHeaders: { Accept: { about: `\`${SIGNED}\` for a signed answer` } },
    success: { status: 200, about: "`active`, and when it is, what the token says", schema: reply },
    refusals: ["invalid_request", "invalid_client", "busy"],
    handle,
  };
}

/**
 * RFC 7662 §4: "If left unprotected and un-throttled, the introspection endpoint could present a means for an attacker
 * to poll a series of possible token values": besides, a resource learns of tokens for it and of no others, and any
 * other client of its own.
 */
function mayKnow(client: Client, token: OwnToken, audience: string): boolean {
  if (client.type !== "resource") return token.clientId === client.id;
  const identifiers = identifiersOf(client, audience);
  return token.audience.some((one) => identifiers.includes(one));
}

/** RFC 9701 §4. */
function wantsJwt(accept = ""): boolean {
  return accept.split(",").some((range) => range.split(";")[0]?.trim().toLowerCase() === SIGNED);
}
