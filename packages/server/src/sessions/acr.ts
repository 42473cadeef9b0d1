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

/** How whoever came back by a recovery code alone has proven who they are. */
export const RECOVERY_AMR: readonly string[] = ["otp"];

/** Whether a session began so: no other way to sign in has a code as its only proof. */
export const isRecovered = (amr: readonly string[]): boolean => amr.join(" ") === RECOVERY_AMR.join(" ");

export type Acr = (typeof acrValues)[keyof typeof acrValues];

/** RFC 8176 §2, `mfa`: "Multiple-factor authentication". */
export const MFA = "mfa";

export const acrOf = (amr: readonly string[]): Acr => (amr.includes(MFA) ? acrValues.two : acrValues.one);
