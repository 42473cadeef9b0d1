import { WrongSetting } from "./config.ts";

/** The few functions that an operator may give. Settings are data; these are not. */
export interface Hooks {
  /**
   * Says in a few words where an address is ("Vienna, Austria"), for the list of devices. Asked while a page is made:
   * what takes longer than a moment, or fails, is left out.
   */
  readonly placeOf?: (ip: string) => string | undefined | Promise<string | undefined>;
  /**
   * Other words for mails (`{ en: { "sign_in.subject": "…" } }`), or all words of another language. Asked once, at the
   * start; docs/mail.md has the names of the texts.
   */
  readonly mailTexts?: () => Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const names: readonly string[] = ["placeOf", "mailTexts"] satisfies (keyof Hooks)[];

/**
 * Checks what an operator gave.
 * @throws WrongSetting one line that names the hook
 */
export function parseHooks(input: unknown): Hooks {
  if (input === undefined) return {};
  if (typeof input !== "object" || input === null) {
    throw new WrongSetting("hooks must be an object of functions, as in { placeOf: (ip) => … }.");
  }
  for (const [name, hook] of Object.entries(input)) {
    if (!names.includes(name))
      throw new WrongSetting(`There is no hook ${name}; there is ${names.join(", ")}.`);
    if (typeof hook !== "function" && hook !== undefined)
      throw new WrongSetting(`The hook ${name} takes a function.`);
  }
  return input;
}
