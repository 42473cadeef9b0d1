import { z } from "zod";
import type { Client } from "../clients/client.ts";
import { Refusal } from "../errors.ts";
import type { Answer, ClientRequest, Endpoint } from "../http/endpoint.ts";
import type { Id } from "../primitives/id.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Standings } from "../sessions/standing.ts";
import type { Turning } from "../sessions/turning.ts";
import type { OwnTokens } from "../tokens/own-tokens.ts";
import { clientParameters } from "./token.ts";

/**
 * RFC 7009 §2.2: "The content of the response body is ignored by the client". Libraries that take nothing but JSON from an
 * endpoint of OAuth's fail over an answer without any.
 */
const reply = z.object({}).describe("An empty object");

interface Dependencies {
  readonly ownTokens: OwnTokens;
  readonly standings: Standings;
  readonly turning: Pick<Turning, "examine">;
  readonly sessions: Pick<Sessions, "end">;
}

/**
 * POST /oauth/revoke, RFC 7009. A token hangs on its session, so this ends the session: with a refresh token go its
 * access tokens (§2.1: "SHOULD also invalidate all access tokens"), and with an access token its refresh token (§2.1:
 * "MAY revoke the respective refresh token as well").
 */
export function revokeEndpoint({ ownTokens, standings, turning, sessions }: Dependencies): Endpoint {
  /** §2.1: "verifies whether the token was issued to the client making the revocation request". */
  async function sessionOf(token: string, client: Client): Promise<Id | undefined> {
    if (token.startsWith("krt_")) {
      const found = await turning.examine({ token, clientId: client.id });
      return found.standing === "good" || found.standing === "old" ? found.sessionId : undefined;
    }
    const own = ownTokens.read(token);
    if (own?.clientId !== client.id) return undefined;
    const found = await standings.of(own);
    if (found.standing !== "good") return undefined;
    if (found.clientId === client.id) return own.sessionId;
    // Got in exchange: the session is not this client's to end, and the token is no more than a part of it.
    throw new Refusal("unsupported_token_type", {
      description:
        "A token that was got in exchange ends with the session of its subject, or in a few minutes.",
    });
  }

  async function handle({ parameters, client, ip }: ClientRequest): Promise<Answer> {
    const token = parameters.get("token");
    if (token === undefined) throw new Refusal("invalid_request", { description: "token is missing." });
    const sessionId = await sessionOf(token, client);
    if (sessionId !== undefined) {
      await sessions.end(sessionId, { actor: "client", reason: "revoked_by_client", ip });
    }
    // §2.2: "invalid tokens do not cause an error response since the client cannot handle such an error".
    return { status: 200, json: {} };
  }

  return {
    method: "POST",
    path: "/oauth/revoke",
    summary: "Gives a token back, RFC 7009: its session is over, and guards hear of it at once",
    access: "client",
    parameters: {
      token: { about: "A refresh token or an access token of this client's" },
      token_type_hint: { about: "access_token or refresh_token; not needed" },
      ...clientParameters,
    },
    success: {
      status: 200,
      about: "It is worth nothing now, if it ever was of this client's",
      schema: reply,
    },
    refusals: ["invalid_request", "invalid_client", "unsupported_token_type"],
    anyOrigin: true,
    handle,
  };
}
