/** What the page's origin serves: the page, the client's modules, and an API that takes Keyturn's tokens. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Guard } from "@keyturn/guard";
import { type GuardVariables, protect } from "@keyturn/guard/hono";
import { Hono } from "hono";

export interface SiteOptions {
  /** Verifies the tokens that the page brings to the API. */
  readonly guard: Guard;
  readonly issuer: string;
  readonly clientId: string;
}

const page = readFileSync(new URL("./index.html", import.meta.url), "utf8");

export function createSite({ guard, issuer, clientId }: SiteOptions) {
  const site = new Hono<{ Variables: GuardVariables }>();
  const html = page
    .replace('name="issuer" content=""', `name="issuer" content="${issuer}"`)
    .replace('name="client-id" content=""', `name="client-id" content="${clientId}"`);
  const headers = {
    "Content-Security-Policy": contentSecurityPolicy(html, issuer),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
  };

  // Keyturn leads back to /callback with a code; the same page takes it.
  for (const place of ["/", "/callback"]) site.get(place, (context) => context.html(html, 200, headers));

  site.get("/client/:name", ({ req, body }) => {
    const source = clientModule(req.param("name"));
    if (source === undefined) return body("There is no such module.", 404);
    return body(source, 200, {
      "Content-Type": "text/javascript; charset=utf-8",
      "X-Content-Type-Options": "nosniff",
      "Cache-Control": "no-cache",
    });
  });

  // Without a good token: 401. It is of the page's own origin; one elsewhere is named to the client by `apis`.
  site.get("/api/hello", protect(guard), (context) => {
    const { subject, clientId: through, scopes } = context.get("identity");
    return context.json({ message: `Hello, ${subject}`, through, scopes });
  });
  return site;
}

/** The page may run its own script and the client's modules, call this origin and Keyturn, and nothing else. */
function contentSecurityPolicy(html: string, issuer: string): string {
  const hashes = (tag: string) =>
    [...html.matchAll(new RegExp(`<${tag}[^>]*>(.*?)</${tag}>`, "gs"))]
      .map(([, text = ""]) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`)
      .join(" ");
  return [
    "default-src 'none'",
    `script-src 'self' ${hashes("script")}`,
    `style-src ${hashes("style")}`,
    `connect-src 'self' ${new URL(issuer).origin}`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join("; ");
}

const entry = fileURLToPath(import.meta.resolve("@keyturn/client/oidc"));
const sources = new Map<string, string>();
const moduleName = /^[\w-]+\.(?:ts|js)$/;

/**
 * A module of the client as JavaScript: `oidc.js` is where it begins, the others have their own names. A bundler
 * would do this for you; so that the example needs none, types are taken off where there are any.
 */
function clientModule(name: string): string | undefined {
  if (!moduleName.test(name)) return undefined;
  const known = sources.get(name);
  if (known !== undefined) return known;
  const file = name === "oidc.js" ? entry : path.join(path.dirname(entry), name);
  try {
    const text = readFileSync(file, "utf8");
    const source = file.endsWith(".ts") ? stripTypeScriptTypes(text) : text;
    sources.set(name, source);
    return source;
  } catch {
    return undefined;
  }
}
