import { isLoopback } from "../config-schema.ts";
import { limits } from "../primitives/limits.ts";
import type { ClientType } from "./client.ts";

/** Schemes that a browser would not leave a page for, or that run or read something in place of an application. */
const NEVER = new Set([
  "about",
  "blob",
  "chrome",
  "chrome-extension",
  "data",
  "file",
  "filesystem",
  "ftp",
  "intent",
  "javascript",
  "jar",
  "mailto",
  "resource",
  "sms",
  "tel",
  "vbscript",
  "view-source",
  "ws",
  "wss",
]);

/** RFC 3986: the characters that an address may be written with; no space, control character, quote or backslash. */
const URI = /^[a-z][a-z0-9+.-]*:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/i;

/**
 * What keeps an address from being one that a person is sent back to. It is compared byte for byte later (RFC 9700
 * §4.1.3), so it must be one that every reader understands alike.
 * @returns a sentence, undefined when it may be registered
 */
export function redirectUriProblem(uri: string, type: ClientType): string | undefined {
  if (uri.length > limits.redirectUriCharactersMax) return "is too long";
  if (!URI.test(uri)) return "is not an absolute URI of the characters that RFC 3986 allows";
  // RFC 6749 §3.1.2: "The endpoint URI MUST NOT include a fragment component."
  if (uri.includes("#")) return "has a fragment";
  const url = URL.parse(uri);
  if (url === null) return "is not an absolute URI";
  const scheme = url.protocol.slice(0, -1);
  if (NEVER.has(scheme)) return `has the scheme ${scheme}`;
  if (scheme === "https" || scheme === "http") return webUriProblem(uri, url, type);
  // RFC 8252 §7.1: private-use schemes are for native applications.
  return type === "native" ? undefined : "takes https, or http on this machine";
}

function webUriProblem(uri: string, url: URL, type: ClientType): string | undefined {
  if (url.username !== "" || url.password !== "") return "names a user";
  // "https:host", "https:/host" and "https:\host" are all https://host to a browser, and something else to others.
  if (!/^https?:\/\/[^/]/i.test(uri)) return "lacks // and a host";
  const written = /^https?:\/\/([^/?]*)/i.exec(uri)?.[1] ?? "";
  // 0x7f.1, upper case, a default port, a dot at the end: what a browser goes to is written differently.
  if (written !== url.host) return `is read as ${url.protocol}//${url.host} by browsers: write it so`;
  if (url.hostname.endsWith(".")) return "has a host that ends in a dot";
  if (
    /(^|\/)(\.|%2e){1,2}(\/|\?|$)/i.test(
      uri.slice(uri.indexOf(written) + written.length).replace(/\?.*$/, ""),
    )
  ) {
    return "has dots in its path that browsers would leave out";
  }
  if (url.protocol === "https:" || isLoopback(url.hostname)) return undefined;
  // RFC 8252 §8.3, RFC 9700 §2.6: in the clear only on the machine itself.
  return type === "native"
    ? "takes https, http on a loopback address, or a scheme of its own"
    : "takes https, or http on this machine";
}

const LOOPBACK = /^http:\/\/(127\.0\.0\.1|\[::1\])(:\d{1,5})?(\/[^#]*)?$/;

/**
 * Whether the address of a request is a registered one. RFC 9700 §4.1.3: "exact string matching"; the one exception
 * is the port of a native application's loopback address, which the system chooses when it starts (RFC 8252 §7.3:
 * "The authorization server MUST allow any port to be specified at the time of the request").
 */
export function isRegistered(
  uri: string,
  { registered, type }: { registered: readonly string[]; type: ClientType },
): boolean {
  if (registered.includes(uri)) return true;
  if (type !== "native") return false;
  const asked = LOOPBACK.exec(uri);
  if (asked === null || Number((asked[2] ?? ":0").slice(1)) > 65_535) return false;
  return registered.some((one) => {
    const known = LOOPBACK.exec(one);
    return known !== null && known[1] === asked[1] && (known[3] ?? "") === (asked[3] ?? "");
  });
}
