import { limits } from "../primitives/limits.ts";

/** No such host: an address below it can only have come from a path. */
const NOWHERE = "http://nowhere.invalid";

/**
 * A path of this origin that somebody may be sent to, in the one form that every reader takes alike; undefined for
 * anything else. What leads to another origin, once browsers have read it (OWASP ASVS 5.0 §3.7.2): `//host`, `/\host`
 * (a backslash is a slash there), a tab or line break in between (which they leave out), and `/.//host`, which becomes
 * `//host` when it is made short.
 */
export function returnPath(text: string | undefined): string | undefined {
  if (text === undefined || text.length > limits.returnToCharactersMax) return undefined;
  if (!text.startsWith("/") || /[\p{Cc}\\]/u.test(text) || !text.isWellFormed()) return undefined;
  const url = URL.parse(text, NOWHERE);
  if (url?.origin !== NOWHERE || url.pathname.startsWith("//")) return undefined;
  return url.pathname + url.search + url.hash;
}
