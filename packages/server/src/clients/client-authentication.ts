const BASIC = /^basic +([A-Za-z0-9+/]{1,1024}={0,2})$/i;
/** RFC 6749 Appendix A.1 and A.2: id and secret are of VSCHAR, the visible ASCII characters and the space. */
const VSCHARS = /^[\x20-\x7e]*$/;

export interface ClientCredentials {
  readonly id: string;
  readonly secret: string;
}

/**
 * The id and secret of an `Authorization: Basic` header. RFC 6749 §2.3.1: "The client identifier is encoded using
 * the application/x-www-form-urlencoded encoding algorithm […] and the encoded value is used as the username; the
 * client secret is encoded using the same algorithm and used as the password."
 * Undefined when there is no such header or it is malformed; which of the two is nobody's business but the log's.
 */
export function parseBasicCredentials(header: string | undefined): ClientCredentials | undefined {
  if (header === undefined || header.length > 1100) return undefined;
  const encoded = BASIC.exec(header.trim())?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString("latin1");
  // RFC 7617 §2: "the user-id […] cannot include a colon"; what follows the first one is the password.
  const colon = text.indexOf(":");
  if (colon < 1) return undefined;
  const id = formDecode(text.slice(0, colon));
  const secret = formDecode(text.slice(colon + 1));
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

function formDecode(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text.replaceAll("+", " "));
    return VSCHARS.test(decoded) ? decoded : undefined;
  } catch {
    return undefined;
  }
}
