import type { AccessKeeper } from "./access.ts";
import type { StoredCredentials } from "./credential-storage.ts";
import type { Issuer } from "./issuer.ts";
import { KeyturnError } from "./keyturn-error.ts";
import type { OidcSettings } from "./oidc-options.ts";
import type { OidcProvider } from "./oidc-provider.ts";
import { isJson, type Json, readAccess, type TokenReply } from "./replies.ts";
import type { World } from "./world.ts";

/** Where a provider does not say how long a token lives. */
const lifeSecondsDefault = 300;
/** How long another tab may need to write down what it got for the same refresh token. */
const newsPauseMs = 500;
const newsLooksMax = 4;

/**
 * A stored refresh token is the provider's, and behind a space how often the session was refreshed where the provider
 * gives the same one again: tabs tell by it that another one has been there. Nothing stands before the space when the
 * provider gave none at all.
 */
const tokenOf = (stored: string) => stored.split(" ")[0] as string;
const nextOf = (stored: string) => `${tokenOf(stored)} ${Number(stored.split(" ")[1] ?? 0) + 1}`;

/** RFC 6749 §5.1 as the client's other parts know replies. `refreshToken` is that which there was before, if any. */
export function readOidcTokens(
  body: Json,
  { refreshToken, sessionId }: Pick<StoredCredentials, "refreshToken" | "sessionId">,
): TokenReply | undefined {
  const { access_token: accessToken, token_type: type, refresh_token: given, expires_in: lives } = body;
  // RFC 6749 §5.1: the type is "case insensitive".
  const tokenType = { bearer: "Bearer", dpop: "DPoP" }[String(type).toLowerCase()] ?? type;
  const access = readAccess({
    accessToken,
    tokenType,
    expiresIn: Number(lives ?? lifeSecondsDefault),
    sessionId,
  });
  // A space would be taken for the count.
  const isNew = typeof given === "string" && /^[\x21-\x7e]+$/.test(given) && given !== tokenOf(refreshToken);
  const kept = refreshToken === "" ? ` ${sessionId}` : nextOf(refreshToken);
  return access && { access, refreshToken: isNew ? given : kept };
}

/** The claims of a JWT, of which nothing was checked; undefined when it is none. */
export function readJwt(token: unknown): { readonly header: Json; readonly claims: Json } | undefined {
  try {
    const parts = (token as string).split(".");
    const [header, claims] = parts.slice(0, 2).map((part) => {
      const bytes = Uint8Array.from(atob(part.replace(/-/g, "+").replace(/_/g, "/")), (one) =>
        one.charCodeAt(0),
      );
      return JSON.parse(new TextDecoder().decode(bytes)) as Json;
    });
    return parts.length === 3 && isJson(header) && isJson(claims) ? { header, claims } : undefined;
  } catch {
    return undefined;
  }
}

/** Token mode's door to an OpenID provider: refreshing and giving back. */
export function createOidcIssuer(
  world: World & { readonly access: Pick<AccessKeeper, "peek"> },
  oidc: OidcSettings,
  provider: OidcProvider,
): Issuer {
  const { settings, runtime, proofs, closed, access } = world;

  const over = (reason: string, message: string) =>
    new KeyturnError("invalid_refresh_token", message, { status: 400, reason });

  /** OpenID Connect Core §12.2: "its iss Claim Value MUST be the same […] its sub Claim Value MUST be the same". */
  function checkIdToken(token: unknown, { user }: StoredCredentials): void {
    if (token === undefined) return;
    const { iss, sub } = readJwt(token)?.claims ?? {};
    if (iss === oidc.issuer && sub === user.id) return;
    throw new KeyturnError("invalid_id_token", "The provider refreshed the session of somebody else");
  }

  /** What `invalid_grant` means, which is one word for everything. */
  async function refused(error: KeyturnError, { refreshToken }: StoredCredentials): Promise<never> {
    if (error.code !== "invalid_grant") throw error;
    let reason = error.reason ?? "refused";
    for (let looks = 0; reason === "refused" && looks < newsLooksMax; looks++) {
      // Another tab may have used the token, and not have written yet what it got: nothing of that is to be forgotten.
      await runtime.sleep(newsPauseMs, closed);
      const now = await settings.storage.read(settings.issuer);
      if (now?.refreshToken !== refreshToken) reason = "superseded";
    }
    throw over(reason, error.message);
  }

  return {
    async refresh(record) {
      const { refreshToken: stored, deviceKey, dpop } = record;
      const token = tokenOf(stored);
      if (token === "") {
        const message = "The provider gave no refresh token: ask for the scope that it wants for one";
        // An API may refuse a token that is good: then its answer stands, and nobody is signed out.
        if (runtime.now() < (access.peek()?.goodUntilMs ?? 0)) throw new KeyturnError("signed_out", message);
        throw over("expired", message);
      }
      const { token_endpoint: endpoint } = await provider.metadata();
      const form = { grant_type: "refresh_token", refresh_token: token, resource: oidc.resources };
      // Keyturn knows a retry by it. Others would have to allow the header (CORS), and do not know it.
      const attempt = deviceKey && token.startsWith("krt_") ? await proofs.sign(deviceKey, token) : undefined;
      return provider
        .post(endpoint, { form, attempt, key: dpop }, (body) => {
          checkIdToken(body.id_token, record);
          return readOidcTokens(body, record);
        })
        .catch((error) => refused(error, record));
    },

    /** There is one thing to ask in the first-party API's words: the end of the session (RFC 7009). */
    async ask({ json }, read) {
      const { revocation_endpoint: endpoint } = await provider.metadata();
      const token = tokenOf(String(json?.refreshToken));
      if (!endpoint || token === "")
        throw new KeyturnError("not_supported", "The provider takes no token back");
      const form = { token, token_type_hint: "refresh_token" };
      // RFC 7009 §2.2: the answer is 200, and what is in it is "ignored by the client".
      return provider.post(endpoint, { form, keepalive: true }, read);
    },
  };
}
