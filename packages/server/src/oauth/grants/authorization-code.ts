import { isConfidential } from "../../clients/client.ts";
import { Refusal } from "../../errors.ts";
import { equalBytes } from "../../primitives/compare.ts";
import { sha256 } from "../../primitives/digest.ts";
import type { RightsReader } from "../../sessions/rights.ts";
import type { User } from "../../users/user.ts";
import type { Codes, FoundCode } from "../codes.ts";
import type { Issuing, TokenReply } from "../issuing.ts";
import type { Grant, GrantRequest } from "./grant.ts";

interface Dependencies {
  readonly codes: Pick<Codes, "find" | "start" | "endWhatItGave">;
  readonly issuing: Issuing;
  readonly rights: RightsReader;
  readonly settings: { readonly audience: string };
  readonly users: { findById(id: string): Promise<User | undefined> };
}

/** RFC 7636 §4.1: `code-verifier = 43*128unreserved`. */
const VERIFIER = /^[A-Za-z0-9\-._~]{43,128}$/;

/**
 * Tokens for an authorization code: RFC 6749 §4.1.3, OpenID Connect Core §3.1.3. Nothing that is wrong with a request
 * uses the code up: whoever sees a code but lacks its verifier can neither use it nor take it from its owner, and its
 * minute is too short to find a verifier by trying. docs/adr/0020.
 */
export function authorizationCodeGrant(dependencies: Dependencies): Grant {
  const { codes, issuing, rights, settings, users } = dependencies;

  async function handle(request: GrantRequest): Promise<TokenReply> {
    const { client, parameters, dpopThumbprint, ip, userAgent } = request;
    const code = parameters.get("code");
    const verifier = parameters.get("code_verifier");
    if (code === undefined) throw new Refusal("invalid_request", { description: "code is missing." });
    if (verifier === undefined) {
      throw new Refusal("invalid_request", { description: "code_verifier is missing." });
    }
    const found = await codes.find(code);
    if (found === undefined || !belongsTo(found, { request, verifier })) throw new Refusal("invalid_grant");
    if (found.isUsed) {
      await codes.endWhatItGave(found, ip);
      throw new Refusal("invalid_grant");
    }
    const granted = found.resources.length === 0 ? [settings.audience] : found.resources;
    const resources = audienceOf(granted, parameters.all("resource"));
    await issuing.prepare(client);
    // RFC 9449 §5: refresh tokens of public clients are bound to the key, those of others to their authentication.
    const keyThumbprint = isConfidential(client) ? undefined : dpopThumbprint;
    const started = await codes.start(found, { client, keyThumbprint, ip, userAgent });
    // Another request with it was first, at the same moment: one is the owner's and has what it gave.
    if (started === undefined) throw new Refusal("invalid_grant");
    const { session, credential } = started;
    const user = await users.findById(session.userId);
    const mayRefresh = client.metadata.grant_types.includes("refresh_token");
    return issuing.issue({
      client,
      session: {
        ...session,
        sessionId: session.id,
        rights: await rights.of(session.id, resources.join(" ")),
      },
      resources,
      scope: session.scope,
      keyThumbprint: dpopThumbprint,
      refreshToken: mayRefresh ? credential : undefined,
      user,
      nonce: found.nonce,
    });
  }

  return {
    type: "authorization_code",
    parameters: {
      code: { about: "The authorization code" },
      code_verifier: { about: "Of which code_challenge is the digest, RFC 7636 §4.5" },
      redirect_uri: { about: "As in the authorization request; may be left out, for PKCE binds the code" },
      resource: { about: "One or more of the resources that were granted, RFC 8707 §2.2" },
    },
    refusals: ["invalid_grant", "invalid_target"],
    handle,
  };
}

function belongsTo(
  found: FoundCode,
  { request, verifier }: { request: GrantRequest; verifier: string },
): boolean {
  const { client, parameters, dpopThumbprint } = request;
  // RFC 6749 §4.1.3: "ensure that the authorization code was issued to the authenticated confidential client, or if the
  // client is public, ensure that the code was issued to client_id in the request".
  if (found.clientId !== client.id) return false;
  // "ensure that the redirect_uri parameter is present if [it] was included in the initial authorization request […] and
  // if included ensure that their values are identical". OAuth 2.1 §10.2 no longer has it, since PKCE does its work.
  const redirectUri = parameters.get("redirect_uri");
  if (redirectUri !== undefined && redirectUri !== found.redirectUri) return false;
  // RFC 7636 §4.6: "If the values are not equal, an error response indicating invalid_grant […] MUST be returned."
  if (!VERIFIER.test(verifier)) return false;
  const challenge = Buffer.from(sha256(verifier).toString("base64url"));
  if (!equalBytes(challenge, Buffer.from(found.challenge))) return false;
  // RFC 9449 §10: "the authorization server MUST […] verify that the JWK Thumbprint of the DPoP proof public key matches".
  return found.dpopThumbprint === undefined || found.dpopThumbprint === dpopThumbprint;
}

/** RFC 8707 §2.2: "the client […] request[s] an access token for a subset". */
function audienceOf(granted: readonly string[], asked: readonly string[]): readonly string[] {
  if (asked.length === 0) return granted;
  if (!asked.every((one) => granted.includes(one))) throw new Refusal("invalid_target");
  return [...new Set(asked)];
}
