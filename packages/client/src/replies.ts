/** Replies come over a network: what has not the shape that was agreed on is none of Keyturn's. */

export type Json = Readonly<Record<string, unknown>>;

/** An access token as the server gives it, and as tabs hand it on. */
export interface AccessReply {
  readonly accessToken: string;
  readonly tokenType: "Bearer" | "DPoP";
  /** Seconds. */
  readonly expiresIn: number;
  readonly sessionId: string;
}

export interface TokenReply {
  readonly refreshToken: string;
  /** What other tabs may hear of it. */
  readonly access: AccessReply;
}

// A token that claims to live longer is refreshed after a day all the same.
const lifeSecondsMax = 86_400;

export const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null;

/** What may stand in a header: RFC 6750 §2.1. */
const isToken = (value: unknown): value is string =>
  typeof value === "string" && /^[\w.~+/=-]{1,8192}$/.test(value);

export function readAccess(value: unknown): AccessReply | undefined {
  if (!isJson(value)) return undefined;
  const { accessToken, tokenType = "Bearer", expiresIn, sessionId } = value;
  const isRight = isToken(accessToken) && typeof sessionId === "string" && (expiresIn as number) > 0;
  if (!isRight || (tokenType !== "Bearer" && tokenType !== "DPoP")) return undefined;
  return { accessToken, tokenType, expiresIn: Math.min(expiresIn as number, lifeSecondsMax), sessionId };
}

export function readTokens(body: Json): TokenReply | undefined {
  const { refreshToken } = body;
  const access = readAccess(body);
  return access && isToken(refreshToken) ? { refreshToken, access } : undefined;
}
