import { WrongSetting } from "../config.ts";
import { limits } from "../primitives/limits.ts";
import { type MailTexts, mailTextKeys, placeholders } from "./text-keys.ts";
import { german } from "./texts-de.ts";
import { english } from "./texts-en.ts";

const own: Readonly<Record<string, MailTexts>> = { en: english, de: german };
const LANGUAGE = /^[a-z]{2,3}(-[A-Z]{2})?$/;

/**
 * The words of every language, with what the operator has changed or added.
 * @throws WrongSetting one line that names the language and the text
 */
export function mailTextsWith(input: unknown, defaultLanguage: string): ReadonlyMap<string, MailTexts> {
  const languages = new Map(Object.entries(own));
  if (!isRecord(input) || input instanceof Promise)
    throw wrong("must give an object of languages, as in { fr: { … } }");
  const given = Object.entries(input);
  if (given.length > limits.mailLanguagesMax)
    throw wrong(`gives more than ${limits.mailLanguagesMax} languages`);
  for (const [language, texts] of given) languages.set(language, checkedTexts(language, texts));
  if (!languages.has(defaultLanguage)) {
    throw new WrongSetting(
      `mailLanguage is ${JSON.stringify(defaultLanguage)}; there is ${[...languages.keys()].join(", ")}.`,
    );
  }
  return languages;
}

function checkedTexts(language: string, texts: unknown): MailTexts {
  if (!LANGUAGE.test(language))
    throw wrong(`names a language ${JSON.stringify(language)}; en or pt-BR is one`);
  if (!isRecord(texts)) throw wrong(`gives ${language} no object of texts`);
  for (const [key, text] of Object.entries(texts)) checkText(`${language}: ${key}`, key, text);
  const complete = { ...own[language], ...texts } as MailTexts;
  const missing = mailTextKeys.filter((key) => !Object.hasOwn(complete, key));
  if (missing.length > 0) throw wrong(`lacks texts of ${language}: ${missing.slice(0, 5).join(", ")} …`);
  return complete;
}

function checkText(where: string, key: string, text: unknown): void {
  if (!(mailTextKeys as readonly string[]).includes(key))
    throw wrong(`gives ${where}, which is no text of ours`);
  if (typeof text !== "string" || text.trim() === "" || text.length > limits.mailTextCharactersMax) {
    throw wrong(`gives ${where}, which takes 1 to ${limits.mailTextCharactersMax} characters`);
  }
  if (!text.isWellFormed() || /\p{Cc}/u.test(text))
    throw wrong(`gives ${where} with a control character or a line break`);
  for (const [, name = ""] of text.matchAll(/\{([^}]*)\}?/g)) {
    if (!(placeholders as readonly string[]).includes(name)) {
      throw wrong(
        `gives ${where} with {${name.slice(0, 20)}}; there is ${placeholders.map((one) => `{${one}}`).join(", ")}`,
      );
    }
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const wrong = (what: string) => new WrongSetting(`The hook mailTexts ${what}.`);

/**
 * The language that somebody prefers among those that there are, RFC 9110 §12.5.4 and RFC 4647 §3.4.
 * @param accept an Accept-Language header, as a stranger sends it
 */
export function chosenLanguage(
  accept: string | undefined,
  { available, fallback }: { available: ReadonlySet<string>; fallback: string },
): string {
  const wanted = (accept ?? "")
    .slice(0, limits.acceptLanguageCharactersMax)
    .split(",")
    .map((part) => {
      const [range = "", ...parameters] = part.split(";").map((text) => text.trim());
      const quality = parameters.find((one) => /^q=/i.test(one))?.slice(2);
      return { range: range.toLowerCase(), quality: quality === undefined ? 1 : Number(quality) };
    })
    .filter(({ range, quality }) => range !== "" && quality > 0)
    .sort((one, other) => other.quality - one.quality);
  const byKey = new Map([...available].map((name) => [name.toLowerCase(), name]));
  for (const { range } of wanted) {
    if (range === "*") return fallback;
    const found = byKey.get(range) ?? byKey.get(range.split("-", 1)[0] ?? "");
    if (found !== undefined) return found;
  }
  return fallback;
}
