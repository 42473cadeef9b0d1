import type { App } from "./app.ts";
import type { ConnectionInfo } from "./routes.ts";

export type FetchHandler = (request: Request, connection?: ConnectionInfo) => Response | Promise<Response>;

/**
 * Answers requests under Keyturn's root. An issuer with a path may be reached with that path in front (a proxy
 * that passes it on, a fetch handler given whole addresses) or without it (Express and Hono mounts take it off).
 */
export function fetchHandler({ router, settings }: Pick<App, "router" | "settings">): FetchHandler {
  const base = new URL(settings.issuer).pathname.replace(/\/$/, "");
  if (base === "") return (request, connection) => router.fetch(request, connection ?? {});
  return (request, connection) => {
    const url = new URL(request.url);
    if (url.pathname !== base && !url.pathname.startsWith(`${base}/`))
      return router.fetch(request, connection ?? {});
    url.pathname = url.pathname.slice(base.length) || "/";
    return router.fetch(new Request(url, request), connection ?? {});
  };
}
