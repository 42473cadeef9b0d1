import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { openFilter, type PasswordFilter } from "./password-filter.ts";

/** The same from `src` and from `dist`. */
const FILE = fileURLToPath(new URL("../../lists/common-passwords.bin", import.meta.url));

/** Shorter ones are refused anyway. What is longer than this in lists of leaked passwords is rubbish, not passwords. */
export const listedCharacters = { min: 8, max: 64 } as const;

export type CommonPasswords = ReturnType<typeof createCommonPasswords>;

/**
 * How passwords are compared with the list: in form NFC and without regard to case, whole. Undefined for those of a
 * length that the list does not have.
 */
export function listedForm(password: string): string | undefined {
  const form = password.normalize("NFC").toLowerCase().normalize("NFC");
  const characters = [...form].length;
  return characters >= listedCharacters.min && characters <= listedCharacters.max ? form : undefined;
}

/**
 * The list of common and breached passwords that comes with the package, made by scripts/common-passwords.ts. It is
 * read at the first question, because most processes never set a password, and kept.
 */
export function createCommonPasswords({ file = FILE }: { file?: string } = {}) {
  let filter: Promise<PasswordFilter> | undefined;

  async function load(): Promise<PasswordFilter> {
    const opened = openFilter(await readFile(file));
    // To go on without it would take every password, and nobody would notice.
    if (opened === undefined) {
      throw new Error(`The list of common passwords, ${file}, is damaged. Install the package again.`);
    }
    return opened;
  }

  return {
    /**
     * @param password at most as long as a password may be
     * @throws when the list cannot be read; the next question tries again
     */
    async has(password: string): Promise<boolean> {
      const form = listedForm(password);
      if (form === undefined) return false;
      filter ??= load();
      try {
        return (await filter).has(form);
      } catch (error) {
        filter = undefined;
        throw error;
      }
    },
  };
}
