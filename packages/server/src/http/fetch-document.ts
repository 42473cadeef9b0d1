import type { FetchDocument } from "../clients/sectors.ts";
import { type Outgoing, OutgoingFailed } from "./outgoing.ts";

/** Fetches JSON that a client has named: as GET, by the one way out, following nothing. */
export function createFetchDocument(outgoing: Outgoing): FetchDocument {
  return async (url) => {
    try {
      const response = await outgoing(url, { method: "GET", headers: { accept: "application/json" } });
      const { status, headers } = response;
      const type = (headers.get("content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
      return {
        outcome: "answered",
        status,
        type,
        text: await response.text(),
        freshSeconds: freshSeconds(headers),
      };
    } catch (error) {
      if (!(error instanceof OutgoingFailed)) throw error;
      switch (error.problem) {
        case "address":
        case "scheme":
        case "too_large":
          return { outcome: "refused" };
        case "too_slow":
        case "too_many":
        case "network":
          return { outcome: "outage" };
      }
    }
  };
}

/**
 * RFC 9111 §4.2.1: how long an answer is fresh, for a cache that many share; less its age. Undefined: it does not say.
 */
export function freshSeconds(headers: Headers): number | undefined {
  const directives = new Map(
    (headers.get("cache-control") ?? "").split(",").map((directive) => {
      const [name = "", value = ""] = directive.trim().toLowerCase().split("=", 2);
      return [name, value.replace(/^"(.*)"$/, "$1")] as const;
    }),
  );
  if (["no-store", "no-cache", "private"].some((name) => directives.has(name))) return 0;
  const age = secondsIn(headers.get("age")) ?? 0;
  const lifetime = secondsIn(directives.get("s-maxage")) ?? secondsIn(directives.get("max-age"));
  if (lifetime !== undefined) return Math.max(0, lifetime - age);
  const expires = headers.get("expires");
  if (expires === null) return undefined;
  const date = Date.parse(headers.get("date") ?? "");
  // §5.3: "A cache recipient MUST interpret invalid date formats, especially the value "0", as […] in the past".
  const seconds = Math.floor((Date.parse(expires) - date) / 1000);
  return Number.isFinite(seconds) ? Math.max(0, seconds - age) : 0;
}

function secondsIn(text: string | null | undefined): number | undefined {
  return text && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
