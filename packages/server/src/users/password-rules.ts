import { limits } from "../primitives/limits.ts";
import { emailKey, usernameKey } from "./names.ts";

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

/** Whose password it is to be. */
export interface PasswordOwner {
  readonly username: string;
  readonly email?: string | undefined;
}

/** Where it is to be used: words that whoever guesses tries first. */
export interface PasswordPlace {
  readonly passwordCharactersMin: number;
  readonly siteName: string;
  readonly issuer: string;
}

/**
 * Whether a password may be set, by what is known without any list: its length, and that it is no name of its owner
 * or of this place. No rule on which kinds of characters it has: NIST SP 800-63B-4 §3.1.1.2 "SHALL NOT impose other
 * composition rules". The whole password is compared, as there: "The entire password SHALL be subject to comparison,
 * not substrings or words that might be contained therein."
 * @returns what is wrong as a sentence for the person, undefined when nothing is
 */
export function passwordProblem(password: string, of: PasswordOwner, at: PasswordPlace): string | undefined {
  if (!password.isWellFormed()) return "The password is not valid Unicode text.";
  const normalised = normalisePassword(password);
  if (normalised === undefined) return `Choose a shorter password: at most ${limits.passwordBytesMax} bytes.`;
  if ([...normalised].length < at.passwordCharactersMin) {
    return `Choose a longer password: at least ${at.passwordCharactersMin} characters.`;
  }
  if (isSameWord(normalised, of.username)) return "The password must not be the username.";
  if (of.email !== undefined) {
    if (emailKey(normalised) === emailKey(of.email)) return "The password must not be the e-mail address.";
    if (isSameWord(normalised, of.email.slice(0, of.email.lastIndexOf("@")))) {
      return "The password must not be the first part of the e-mail address.";
    }
  }
  if (isSameWord(normalised, at.siteName)) return "The password must not be the name of this site.";
  const { host, hostname } = new URL(at.issuer);
  const addresses = [at.issuer, host, hostname, hostname.replace(/^www\./, "")];
  if (addresses.some((address) => isSameWord(normalised, address))) {
    return "The password must not be the address of this site.";
  }
  return undefined;
}

/** Whether it is the word, in any case, with or without what stands between its letters: NIST's "derivatives". */
function isSameWord(password: string, word: string): boolean {
  const [one, other] = [bare(password), bare(word)];
  // Of signs alone nothing would be left, and then any of them were the same.
  return one === "" ? usernameKey(password) === usernameKey(word) : one === other;
}

const bare = (text: string) => usernameKey(text).replace(/[^\p{L}\p{M}\p{N}]+/gu, "");
