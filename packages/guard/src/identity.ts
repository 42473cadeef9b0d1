/** Who a verified token speaks for. Frozen, because the cache hands the same one to many requests. Times in seconds. */
export type Identity = {
  readonly subject: string;
  readonly clientId?: string;
  readonly sessionId?: string;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  /** `iat`; 0 when another issuer left it out (only with `tokenType: "any"`). */
  readonly issuedAt: number;
  readonly expiresAt: number;
  /** When the person last signed in actively. */
  readonly authTime?: number;
  readonly acr?: string;
  readonly amr?: readonly string[];
  /** The key that the token is bound to (`cnf.jkt`, RFC 9449 §6.1), and whose proof came with the request. */
  readonly keyThumbprint?: string;
  readonly issuer: string;
  readonly audience: readonly string[];
  /** Every claim as it came, frozen all the way down. */
  readonly claims: Readonly<Record<string, unknown>>;
};

/**
 * The identity on a request that `protect` let through.
 *
 * @throws Error when there is none, so that a forgotten `protect` fails loudly and not as an undefined user.
 */
export function identityOf(request: { readonly identity?: Identity | null | undefined }): Identity {
  const { identity } = request;
  if (!identity) {
    throw new Error(
      "No identity on this request: put protect(guard) in front of this route, without `optional`.",
    );
  }
  return identity;
}
