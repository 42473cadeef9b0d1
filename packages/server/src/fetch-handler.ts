import type { App } from "./app.ts";
import type { ConnectionInfo } from "./routes.ts";

export type FetchHandler = (request: Request, connection?: ConnectionInfo) => Response | Promise<Response>;

const metadataPaths = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

/**
 * Answers requests under Keyturn's root. An issuer with a path may be reached with that path in front (a proxy
 * that passes it on, a fetch handler given whole addresses) or without it (Express and Hono mounts take it off).
 *
 * Metadata is also where RFC 8414 §3.1 looks for it: "the well-known URI path suffix is inserted between the host component
 * and the path component" of the issuer.
 */
export function fetchHandler({ router, settings }: Pick<App, "router" | "settings">): FetchHandler {
  const base = new URL(settings.issuer).pathname.replace(/\/$/, "");
  if (base === "") return (request, connection) => router.fetch(request, connection ?? {});
  return (request, connection) => {
    const url = new URL(request.url);
    const document = metadataPaths.find((path) => url.pathname === path + base);
    if (document !== undefined) {
      url.pathname = document;
      return router.fetch(new Request(url, request), connection ?? {});
    }
    if (url.pathname !== base && !url.pathname.startsWith(`${base}/`))
      return router.fetch(request, connection ?? {});
    url.pathname = url.pathname.slice(base.length) || "/";
    return router.fetch(new Request(url, request), connection ?? {});
  };
}
