import { Refusal } from "../errors.ts";

/** Where a request was started from: a page of ours or of an origin that the operator trusts, another page, or unsaid. */
export type RequestSite = "same" | "cross" | "unknown";

type WithHeaders = { header(name: string): string | undefined };

export type CrossSite = ReturnType<typeof createCrossSite>;

/**
 * The defence against requests that another site makes a browser send along with its cookie, without tokens: browsers
 * say where a request comes from, and no page can make them say otherwise. Fetch Metadata Request Headers §2.4
 * (`Sec-Fetch-Site`, on https and on this machine), else Fetch §3.2 (`Origin`, on every request that is not GET or HEAD).
 */
export function createCrossSite(settings: { issuer: string; allowedOrigins: readonly string[] }) {
  const trusted = new Set([new URL(settings.issuer).origin, ...settings.allowedOrigins]);

  function siteOf(request: WithHeaders): RequestSite {
    const origin = request.header("origin");
    if (origin !== undefined && trusted.has(origin)) return "same";
    const site = request.header("sec-fetch-site");
    // "none": typed or bookmarked by the person. "same-site" is another origin, which may be somebody else's.
    if (site !== undefined) return site === "same-origin" || site === "none" ? "same" : "cross";
    return origin === undefined ? "unknown" : "cross";
  }

  return {
    siteOf,

    /**
     * For what a cookie speaks for. A request that changes something must say that it is ours; one that reads must
     * not say that it is another's.
     * @throws Refusal cross_site_request
     */
    check(request: WithHeaders & { readonly method: string }): void {
      const site = siteOf(request);
      const reads = request.method === "GET" || request.method === "HEAD";
      if (site === "same" || (site === "unknown" && reads)) return;
      throw new Refusal("cross_site_request", {
        ...(site === "unknown" && {
          description:
            "A request that changes something by a session cookie must carry Origin or Sec-Fetch-Site, as browsers send them. A program sends an access token instead.",
        }),
      });
    },
  };
}
