import { domainToASCII } from "node:url";
import { isId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import { isRoleName } from "../roles/names.ts";

/** A checked field, ready to be stored; or what is wrong with it, as a sentence for the person. */
export type Checked<T = string> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string };

const USERNAME = /^[\p{L}\p{N}_][\p{L}\p{M}\p{N}._+-]*$/u;
// Letters that are drawn as nothing (U+3164) or only alter others (U+FE0F): two names could look the same.
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u;
const NOT_IN_A_NAME = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;
const LOCAL_PART = /^[^\s\p{C}@"(),:;<>[\]\\]{1,64}$/u;
const DOMAIN = /^(?!.{254})(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** More than any field that is normalised here has room for; what is longer is refused unread. */
const CHARACTERS_READ_MAX = 1024;

/**
 * A username as stored: trimmed, NFKC; 1 to 64 letters, marks and digits of any script, and `. _ + -`. There is no
 * `@` in it and it is not shaped like an id, so that one field takes ids, usernames and e-mail addresses without
 * doubt as to which it is. Which scripts may be mixed is not judged: Cyrillic `а` and Latin `a` are two letters.
 */
export function checkUsername(input: string): Checked {
  const value = readable(input)?.trim().normalize("NFKC");
  if (value === undefined || [...value].length > limits.usernameCharactersMax || value === "") {
    return no(`A username has 1 to ${limits.usernameCharactersMax} characters.`);
  }
  if (!USERNAME.test(value) || INVISIBLE.test(value)) {
    return no("A username has letters, digits and . _ + - only, and begins with a letter, a digit or _.");
  }
  if (isId(value.toLowerCase())) return no("A username must not look like an id. Choose another.");
  return { ok: true, value };
}

/**
 * Two usernames with the same key are the same username. By way of upper case, which makes one of letters
 * that lower case alone keeps apart (ς and σ, ı and i, ß and ss), as Unicode's case folding does.
 */
export function usernameKey(username: string): string {
  return username.trim().normalize("NFKC").toLowerCase().toUpperCase().toLowerCase().normalize("NFKC");
}

/** An e-mail address as stored: trimmed, NFC, at most 254 characters. Whether it receives mail only mail can tell. */
export function checkEmail(input: string): Checked {
  const value = readable(input)?.trim().normalize("NFC");
  if (value === undefined || value.length > limits.emailCharactersMax) {
    return no(`An e-mail address has at most ${limits.emailCharactersMax} characters.`);
  }
  const at = value.lastIndexOf("@");
  const local = value.slice(0, Math.max(0, at));
  const dots = local.startsWith(".") || local.endsWith(".") || local.includes("..");
  const key = emailKey(value);
  if (
    !LOCAL_PART.test(local) ||
    dots ||
    key.length > limits.emailCharactersMax ||
    !DOMAIN.test(key.slice(key.lastIndexOf("@") + 1))
  ) {
    return no("This is not an e-mail address. It has the form name@example.com.");
  }
  return { ok: true, value };
}

/**
 * Two addresses with the same key are the same account. Before the `@` only A to Z become lower case: of other
 * letters case rules make different ones, and then the mailbox is somebody else's. Mail always goes to the address
 * that is stored, never to the one that was typed.
 */
export function emailKey(email: string): string {
  const trimmed = email.trim().normalize("NFC");
  const at = trimmed.lastIndexOf("@");
  const local = trimmed.slice(0, Math.max(0, at)).replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  const domain = trimmed.slice(at + 1);
  // The host parser of URLs also undoes percent signs and cuts off ports: only names go in.
  return `${local}@${/^[\p{L}\p{M}\p{N}.-]+$/u.test(domain) ? domainToASCII(domain) : ""}`;
}

/** What to look for when somebody typed `text` where a username or an e-mail address belongs. */
export function loginKey(
  text: string,
): { readonly field: "username" | "email"; readonly key: string } | undefined {
  if (text.includes("@")) {
    const email = checkEmail(text);
    return email.ok ? { field: "email", key: emailKey(email.value) } : undefined;
  }
  const username = checkUsername(text);
  return username.ok ? { field: "username", key: usernameKey(username.value) } : undefined;
}

/** A person's name as shown: trimmed, NFC, at most 200 characters, of any kind but those that garble the line. */
export function checkName(input: string): Checked {
  const value = readable(input)?.trim().normalize("NFC");
  if (value === undefined || value === "" || [...value].length > limits.nameCharactersMax) {
    return no(`A name has 1 to ${limits.nameCharactersMax} characters.`);
  }
  if (NOT_IN_A_NAME.test(value))
    return no("A name has no line breaks, control characters or direction marks.");
  return { ok: true, value };
}

/** Roles in order, each once: at most 50, each 1 to 64 of A-Z a-z 0-9 : . _ - beginning with a letter or a digit. */
export function checkRoles(input: readonly string[]): Checked<string[]> {
  if (input.length > limits.rolesPerUserMax) return no(`A user has at most ${limits.rolesPerUserMax} roles.`);
  if (!input.every(isRoleName)) {
    return no(
      `A role has 1 to ${limits.roleCharactersMax} of A-Z a-z 0-9 : . _ - and begins with a letter or a digit.`,
    );
  }
  return { ok: true, value: [...new Set(input)].sort() };
}

/** Text that may be stored as it is but for its length: without control characters, at most `charactersMax`. */
export function cleanText(text: string | undefined, charactersMax: number): string | undefined {
  const cut = text?.slice(0, 4 * charactersMax).toWellFormed();
  const clean = cut?.replace(/[\p{Cc}\s]+/gu, " ").trim();
  return clean ? [...clean].slice(0, charactersMax).join("") : undefined;
}

/** Short enough to be worth reading, and Unicode; PostgreSQL and SQLite keep lone surrogates differently. */
function readable(input: string): string | undefined {
  return input.length <= CHARACTERS_READ_MAX && input.isWellFormed() ? input : undefined;
}

function no(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
