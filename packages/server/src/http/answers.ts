import { type Refusal, refusals } from "../errors.ts";

/** OWASP ASVS 5.0 V3.4; the policy lets nothing load, for nothing here needs anything. */
export function commonHeaders(issuer: string): Readonly<Record<string, string>> {
  return {
    "Content-Security-Policy":
      "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    // Fetch §3.7: no page of another origin embeds an answer. What any origin may read says so by CORS, which this leaves alone.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    ...(issuer.startsWith("https:")
      ? { "Strict-Transport-Security": "max-age=31536000; includeSubDomains" }
      : {}),
  };
}

/** A refusal as it leaves the server, whichever door it leaves by. */
export function refusalAnswer({ code, extra }: Refusal, common: Readonly<Record<string, string>>) {
  const { status, sentence } = refusals[code];
  const body = {
    error: code,
    error_description: extra.description ?? sentence,
    ...(extra.reason === undefined ? {} : { reason: extra.reason }),
    ...extra.members,
  };
  const headers = {
    ...common,
    "Cache-Control": "no-store",
    "Content-Type": "application/json",
    ...extra.headers,
  };
  return { status, headers, text: JSON.stringify(body) };
}
