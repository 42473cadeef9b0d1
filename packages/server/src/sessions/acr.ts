/**
 * How sure it is who somebody is: `acr` of OpenID Connect Core §2 and RFC 9470 §4. Derived from `amr`, so that the two
 * never tell different stories. docs/adr/0011.
 */
export const acrValues = {
  /** One factor: a password, a provider, a link that was mailed. */
  one: "urn:keyturn:1fa",
  /** Two factors, or a passkey that has verified its user. */
  two: "urn:keyturn:2fa",
} as const;

const RECOVERY = "recovery";

/**
 * How whoever came back by a recovery code alone has proven who they are. RFC 8176 has no word for it, and leaves room
 * for others; a code that was mailed is an `otp` too, and is none.
 */
export const RECOVERY_AMR: readonly string[] = ["otp", RECOVERY];

/** Whether a session, or a sign-in that waits, began so. */
export const isRecovered = (amr: readonly string[]): boolean => amr.includes(RECOVERY);

export type Acr = (typeof acrValues)[keyof typeof acrValues];

/** RFC 8176 §2, `mfa`: "Multiple-factor authentication". */
export const MFA = "mfa";

export const acrOf = (amr: readonly string[]): Acr => (amr.includes(MFA) ? acrValues.two : acrValues.one);
