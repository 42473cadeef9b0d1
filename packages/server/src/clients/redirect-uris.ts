import { limits } from "../primitives/limits.ts";
import { isLoopback } from "../primitives/loopback.ts";
import type { ClientType } from "./client.ts";

/** Schemes that run, read or start something in place of an application that takes an answer. */
const NEVER: ReadonlySet<string> = new Set(
  (
    "about afp applescript blob callto chrome chrome-extension chrome-untrusted cid content data facetime feed file " +
    "filesystem ftp ftps git gopher hcp help intent irc itms itms-apps itms-services jar javascript ldap ldaps " +
    "livescript mailto market mhtml mid moz-extension news nfs nntp res resource rlogin search-ms sftp shell sip sips " +
    "skype sms smb ssh steam tag tel telnet urn vbscript view-source ws wss wyciwyg"
  ).split(" "),
);
/** Of Windows: each opens a program of the system with what the address says. */
const OF_THE_SYSTEM = /^ms-/;

/** RFC 3986 §2: the characters that an address may be written with; no space, control character, quote or backslash. */
const URI = /^[a-z][a-z0-9+.-]*:(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/i;

/** RFC 6749 §4.1.2, RFC 9207 §2: what the answer adds must not be there already, or two readers see two answers. */
const ANSWERED: ReadonlySet<string> = new Set([
  "access_token",
  "code",
  "error",
  "error_description",
  "error_uri",
  "id_token",
  "iss",
  "response",
  "session_state",
  "state",
]);

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
  if (NEVER.has(scheme) || OF_THE_SYSTEM.test(scheme)) return `has the scheme ${scheme}`;
  if ([...url.searchParams.keys()].some((name) => ANSWERED.has(name)))
    return "has a parameter that the answer will have";
  if (scheme === "https" || scheme === "http") return webUriProblem(uri, url, type);
  if (url.username !== "" || url.password !== "") return "names a user";
  // RFC 3986 §3.2.2: brackets are for addresses of IPv6, and no scheme of an application's own has one.
  if (/[[\]]/.test(uri)) return "has brackets";
  // RFC 8252 §7.1: private-use schemes are for native applications. One without a period, which §8.4 would have us
  // refuse, is what many of them have (cursor:, vscode:); that another application may take it is why PKCE is required.
  return type === "native" ? undefined : "takes https, or http on this machine";
}

function webUriProblem(uri: string, url: URL, type: ClientType): string | undefined {
  if (url.username !== "" || url.password !== "") return "names a user";
  // "https:host", "https:/host" and "https:\host" are all https://host to a browser, and something else to others.
  const match = /^https?:\/\/([^/?]+)([^?]*)(.*)$/.exec(uri);
  if (match === null) return "lacks // and a host, or has a scheme in upper case";
  const [, written = "", path = "", query = ""] = match;
  // 0x7f.1, upper case, a default port, unicode: what a browser goes to is written differently.
  if (written !== url.host) return `is read as ${url.protocol}//${url.host} by browsers: write it so`;
  if (url.hostname.endsWith(".")) return "has a host that ends in a dot";
  if (/(^|\/)(\.|%2e){1,2}(\/|$)/i.test(path)) return "has dots in its path that browsers would leave out";
  if (/[[\]]/.test(path + query)) return "has brackets in its path or query";
  if (url.protocol === "https:" || isLoopback(url.hostname)) return undefined;
  // RFC 8252 §8.3, RFC 9700 §2.6: in the clear only on the machine itself.
  return type === "native"
    ? "takes https, http on a loopback address, or a scheme of its own"
    : "takes https, or http on this machine";
}

/** A host of this machine, a port in the one way of writing it, and whatever follows. */
const LOOPBACK = /^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(?::(0|[1-9]\d{0,4}))?(\/[^#]*)?$/;
const PORT_MAX = 65_535;

/**
 * Whether the address of a request is a registered one. RFC 9700 §2.1: "authorization servers MUST utilize exact string
 * matching except for port numbers in localhost redirection URIs of native apps", which the system chooses when they
 * start (RFC 8252 §7.3: "The authorization server MUST allow any port to be specified at the time of the request").
 */
export function isRegistered(
  uri: string,
  { registered, type }: { registered: readonly string[]; type: ClientType },
): boolean {
  if (registered.includes(uri)) return true;
  if (type !== "native") return false;
  const asked = LOOPBACK.exec(uri);
  if (asked === null || Number(asked[2] ?? 0) > PORT_MAX) return false;
  return registered.some((one) => {
    const known = LOOPBACK.exec(one);
    return known !== null && known[1] === asked[1] && (known[3] ?? "") === (asked[3] ?? "");
  });
}
