import { domainToASCII } from "node:url";

/** RFC 5321 §4.5.3.1 */
const CHARACTERS_MAX = 254;
/**
 * What quotes, comments, lists and routes are written with is left out: programs read those differently, and then a
 * mail reaches somebody else (`"a@evil.example"@example.com`, `a@b.example,c@d.example`).
 */
const LOCAL_PART = /^[^\s\p{C}\p{Z}@"(),:;<>[\]\\]{1,64}$/u;
const DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const DOMAIN_TYPED = /^[\p{L}\p{M}\p{N}.-]+$/u;

/**
 * The one mailbox that the text is the address of, with the domain in ASCII (RFC 5890); undefined when a program could
 * take it for anything else, or when it is none.
 */
export function mailboxOf(text: string): string | undefined {
  if (text.length > CHARACTERS_MAX || !text.isWellFormed()) return undefined;
  const at = text.lastIndexOf("@");
  const local = text.slice(0, Math.max(0, at));
  const domain = text.slice(at + 1);
  if (!LOCAL_PART.test(local) || /^\.|\.$|\.\./.test(local) || !DOMAIN_TYPED.test(domain)) return undefined;
  const ascii = domainToASCII(domain);
  const mailbox = `${local}@${ascii}`;
  return DOMAIN.test(ascii) && mailbox.length <= CHARACTERS_MAX ? mailbox : undefined;
}
