import type { Settings } from "../config-schema.ts";
import type { CommonPasswords } from "./common-passwords.ts";
import { recogniseHash } from "./password-hashes.ts";
import { normalisePassword, type PasswordOwner, passwordProblem } from "./password-rules.ts";
import { type InvalidField, invalid } from "./user.ts";

export type NewPasswords = ReturnType<typeof createNewPasswords>;

interface Dependencies {
  readonly settings: Pick<Settings, "passwordCharactersMin" | "siteName"> & { readonly issuer: string };
  readonly common: CommonPasswords;
  /** Asks somebody else whether a password was in a breach, where the settings name one. It never throws. */
  readonly isBreached?: ((normalised: string) => Promise<boolean>) | undefined;
}

/**
 * What a new password must keep to. Passwords that are there already are never asked about: nobody is locked out by
 * a rule that came later.
 */
export function createNewPasswords({ settings, common, isBreached }: Dependencies) {
  /**
   * By the rules and by the list that is here; costs microseconds, and tells nobody.
   * NIST SP 800-63B-4 §3.1.1.2: "verifiers SHALL compare the prospective secret against a blocklist that contains
   * known commonly used, expected, or compromised passwords", and "SHALL provide the reason for rejection".
   * @returns what is wrong as a sentence for the person, undefined when nothing is
   */
  async function problem(password: string, of: PasswordOwner): Promise<string | undefined> {
    const found = passwordProblem(password, of, settings);
    if (found !== undefined) return found;
    if (!(await common.has(password))) return undefined;
    return "This password is one of those that are guessed first. Choose another, such as a few words that only you would put together.";
  }

  return {
    problem,

    /** What is wrong with a new password, or with the hash that came in its place. */
    async check(
      input: { readonly password?: string | undefined; readonly passwordHash?: string | undefined },
      of: PasswordOwner,
    ): Promise<InvalidField | undefined> {
      if (input.password !== undefined && input.passwordHash !== undefined) {
        return invalid("passwordHash", "Give a password or a hash of one, not both.");
      }
      if (input.password !== undefined) {
        const found = await problem(input.password, of);
        return found === undefined ? undefined : invalid("password", found);
      }
      if (input.passwordHash === undefined) return undefined;
      const recognised = recogniseHash(input.passwordHash);
      return recognised.ok ? undefined : invalid("passwordHash", recognised.problem);
    },

    /**
     * What somebody else knows of a password that `check` has taken. It may go over the network: ask after the limits
     * on attempts have been, so that no stranger makes this server send as many requests as they like.
     */
    async checkBreaches(password: string): Promise<InvalidField | undefined> {
      const normalised = normalisePassword(password);
      if (isBreached === undefined || normalised === undefined) return undefined;
      if (!(await isBreached(normalised))) return undefined;
      return invalid(
        "password",
        "This password has been stolen from some other site and is known to those who guess. Choose another, and change it wherever else you use it.",
      );
    },
  };
}
