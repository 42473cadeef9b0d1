import assert from "node:assert/strict";

/**
 * DESIGN §9: no secret, token or password in a log. The one place that knows how whatever opens something looks: the
 * test servers, the stage of processes, the terminal's tests and the runner itself ask here.
 */

/** What each prefix of a secret of ours stands for. A test compares with the sources: a new one must be named here. */
export const secretPrefixes = {
  krt_: "a refresh token",
  kss_: "the cookie of a browser's session",
  kts_: "a client's secret",
  ktr_: "the token of a client's registration",
  ktt_: "the ticket between two factors",
  ktd_: "a device code",
  kml_: "the link of a letter",
  kmt_: "the ticket of whoever asked for a letter",
} as const;

/** Parameters and members whose value opens something; those that have no prefix are found by their names. */
const names =
  "code|code_verifier|password|current_password|new_password|client_secret|client_assertion|refresh_token|access_token|id_token|id_token_hint|device_code|form_token|ticket|recovery_code|refreshToken|accessToken|idToken|newPassword|currentPassword|recoveryCode";

const patterns: readonly (readonly [RegExp, string])[] = [
  ...Object.entries(secretPrefixes).map(([prefix, what]) => [RegExp(`\\b${prefix}[\\w-]{8}`), what] as const),
  [/\beyJ[\w-]{8}/, "a JWT"],
  [/\b(?:Bearer|Basic|DPoP) [\w-]{8}/, "an Authorization header"],
  [/urn:ietf:params:oauth:request_uri:[\w-]{8}/, "the reference of a pushed request"],
  [/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----|"d":"[\w-]{40}/, "a private key"],
  [/\$(?:argon2(?:id|i|d)|scrypt|2[aby])\$[^\s"]{8}/, "a password's hash"],
  // But for that of a sentence which says how such an address is written.
  [/\/\/(?!USER:PASSWORD@)[^\s/:@"']+:(?!\*|%2A)[^\s/:@"']+@/, "an address with a password"],
  [RegExp(`[?&](?:${names})=[\\w%+-]{4}`), "a secret in an address or a form"],
  // "code" is also how errors are told apart: as a member of JSON only what is as long as a code of ours.
  [RegExp(`"(?:${names.replace("code|", "")})":"[^"\\[]{4}`), "a secret in JSON"],
  [/"code":"[\w-]{43}"/, "an authorization code"],
];

/** Development prints mails on the terminal, each line behind a bar, with their links: that is no log. */
const withoutMails = (text: string) => text.replaceAll(/^│.*$/gm, "");

/** What kind of secret the text shows, and what stands before it; nothing when it shows none. */
export function secretIn(written: string): string | undefined {
  const text = withoutMails(written);
  for (const [pattern, what] of patterns) {
    const found = pattern.exec(text);
    // Enough to find the line by, and nothing of the secret: this is printed.
    if (found !== null) return `${what}, behind: ${text.slice(Math.max(0, found.index - 160), found.index)}`;
  }
  return undefined;
}

/** `known`: what a test knows to be secret, whatever it looks like. */
export function assertNoSecretIn(text: string, known: Iterable<string> = []): void {
  const log = withoutMails(text);
  for (const secret of known) {
    assert.ok(!log.includes(secret), `the log shows a secret that begins with ${secret.slice(0, 4)}`);
  }
  const found = secretIn(text);
  assert.equal(found, undefined, `the log shows ${found}`);
}
