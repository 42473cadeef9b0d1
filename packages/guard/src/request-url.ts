/** What is known of the URL of a request that came over HTTP. */
export type RequestLine = {
  readonly protocol: string;
  /** `Host`, or `:authority` of HTTP/2. */
  readonly host: string | undefined;
  /** Path and query as they came. */
  readonly target: string | undefined;
};

// A Host of "api.example.com/photos?" in front of another path would make any URL of it.
const authority = /^[\w.~%!$&'()*+,;=:[\]-]+$/;

/**
 * The URL that was asked for, as this process sees it; empty when there is none that a proof could be for.
 *
 * `X-Forwarded-*` is not looked at: anybody can send it. Where a proxy stands in front, the guard's `origin` says what
 * the outside sees.
 */
export function requestUrl({ protocol, host, target }: RequestLine): string {
  if (host === undefined || !authority.test(host) || target?.startsWith("/") !== true) return "";
  return `${protocol}://${host}${target}`;
}
