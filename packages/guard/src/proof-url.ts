/** Whether a proof speaks of the URL that was asked for (RFC 9449 §4.3, RFC 3986 §6.2.2 and §6.2.3). */

// Scheme, authority without userinfo, the rest. No space, control character or backslash: URL would drop the former and
// read the latter as a slash, and two texts that a router tells apart would be one here.
const httpUrl = /^https?:\/\/[^/?#@\s\\]+(?:[/?#][!-[\]-~\u0080-\uffff]*)?$/i;
const dotSegment = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i;
const percentEncoded = /%[0-9a-f]{2}/gi;
const unreserved = /^[\w.~-]$/;

/** RFC 3986 §6.2.2.1, §6.2.2.2: hexadecimal digits in capitals; what need not be encoded is not. */
function normalizeEncoded(encoded: string): string {
  const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
  return unreserved.test(character) ? character : encoded.toUpperCase();
}

function withoutQueryAndFragment(url: string): string {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}

/** The normal form of a URL without query and fragment; undefined when it is no http or https URL, or names a user. */
function normalForm(text: string): string | undefined {
  if (!httpUrl.test(text) || !URL.canParse(text)) return undefined;
  // URL does the case of scheme and host, the default port, the empty path and the dot segments.
  const { protocol, host, pathname } = new URL(text);
  return `${protocol}//${host}${pathname.replace(percentEncoded, normalizeEncoded)}`;
}

/** Whether the `htu` of a proof is the URL that was requested, both without query and fragment. */
export function isSameUrl(claimed: string, requested: string): boolean {
  const asked = withoutQueryAndFragment(requested);
  if (asked === "") return false;
  if (withoutQueryAndFragment(claimed) === asked) return true;
  // No client sends dot segments, and a router may not resolve them as the signer's URL was: a proof for /a/b must not
  // open /a/c/../b.
  if (dotSegment.test(asked)) return false;
  // RFC 9449 §4.3: "servers SHOULD employ syntax-based normalization (Section 6.2.2 of [RFC3986]) and scheme-based
  // normalization (Section 6.2.3 of [RFC3986]) before comparing the htu claim."
  const normal = normalForm(claimed);
  return normal !== undefined && normal === normalForm(asked);
}
