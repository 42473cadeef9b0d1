import { limits } from "../primitives/limits.ts";
import { emailKey, usernameKey } from "./names.ts";

export const passwordCharactersMin = 8;

/**
 * The text that is hashed: the password in Unicode's form NFC, so that it is the same from every keyboard (RFC 8265
 * §4.2.2). NFC and not NFKC: it changes almost nothing that keyboards give, so that hashes which another system
 * made of the bytes as they came still match; and it does not make "²" equal to "2".
 * Undefined when nobody can have such a password: it is longer than 1024 bytes, or not Unicode (lone surrogates).
 */
export function normalisePassword(password: string): string | undefined {
  // The length first: what follows takes time in proportion to it.
  if (password.length > limits.passwordBytesMax || !password.isWellFormed()) return undefined;
  const normalised = password.normalize("NFC");
  return Buffer.byteLength(normalised) <= limits.passwordBytesMax ? normalised : undefined;
}

/**
 * Whether a password may be set: at least 8 characters, at most 1024 bytes, not the username or the e-mail address.
 * No rule on which kinds of characters it has: NIST SP 800-63B §3.1.1.2 "SHALL NOT impose other composition rules".
 * @returns what is wrong as a sentence for the person, undefined when nothing is
 */
export function passwordProblem(
  password: string,
  of: { username: string; email?: string | undefined },
): string | undefined {
  if (!password.isWellFormed()) return "The password is not valid Unicode text.";
  const normalised = normalisePassword(password);
  if (normalised === undefined) return `Choose a shorter password: at most ${limits.passwordBytesMax} bytes.`;
  if ([...normalised].length < passwordCharactersMin) {
    return `Choose a longer password: at least ${passwordCharactersMin} characters.`;
  }
  if (usernameKey(normalised) === usernameKey(of.username)) return "The password must not be the username.";
  if (of.email !== undefined && emailKey(normalised) === emailKey(of.email)) {
    return "The password must not be the e-mail address.";
  }
  return undefined;
}
