/**
 * What one origin serves: the page, the client's modules, a protected API, and Keyturn under /auth. A fetch handler,
 * for Node (app.ts) and whatever else takes one.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Guard } from "@keyturn/guard";
import { type GuardVariables, protect } from "@keyturn/guard/hono";
import { Hono } from "hono";
import type { Keyturn } from "keyturn";

export interface SiteOptions {
  /** Verifies the tokens that the page brings to the API. */
  readonly guard: Guard;
  /** Keyturn in this process, for what comes under /auth. */
  readonly keyturn?: Pick<Keyturn, "fetch">;
  /** Keyturn elsewhere: its address. */
  readonly issuer?: string;
}

const page = readFileSync(new URL("./index.html", import.meta.url), "utf8");

export function createSite({ guard, keyturn, issuer }: SiteOptions) {
  const site = new Hono<{ Variables: GuardVariables }>();
  const html = issuer === undefined ? page : page.replace('content="/auth"', `content="${issuer}"`);
  const policy = contentSecurityPolicy(html, issuer);

  site.get("/", (context) =>
    context.html(html, 200, {
      "Content-Security-Policy": policy,
      "Referrer-Policy": "no-referrer",
      "X-Content-Type-Options": "nosniff",
      "Cache-Control": "no-cache",
    }),
  );

  site.get("/client/:name", ({ req, body }) => {
    const source = clientModule(req.param("name"));
    if (source === undefined) return body("There is no such module.", 404);
    return body(source, 200, {
      "Content-Type": "text/javascript; charset=utf-8",
      "X-Content-Type-Options": "nosniff",
      "Cache-Control": "no-cache",
    });
  });

  site.get("/api/hello", protect(guard), (context) => {
    const { subject, sessionId } = context.get("identity");
    return context.json({ message: `Hello, ${subject}`, subject, sessionId });
  });

  if (keyturn !== undefined) {
    // Its second argument tells Keyturn who calls, for its limits against guessing and for the device list.
    site.all("/auth/*", ({ req, env }) => keyturn.fetch(req.raw, env as object));
  }
  return site;
}

/**
 * The page may run its own script and style and the client's modules, call this origin and Keyturn, and nothing
 * else: what an attacker gets into the page does not run, and what runs cannot send a token away.
 */
function contentSecurityPolicy(html: string, issuer: string | undefined): string {
  const hashes = (tag: string) =>
    [...html.matchAll(new RegExp(`<${tag}[^>]*>(.*?)</${tag}>`, "gs"))]
      .map(([, text = ""]) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`)
      .join(" ");
  return [
    "default-src 'none'",
    `script-src 'self' ${hashes("script")}`,
    `style-src ${hashes("style")}`,
    `connect-src 'self'${issuer === undefined ? "" : ` ${new URL(issuer).origin}`}`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join("; ");
}

const entry = fileURLToPath(import.meta.resolve("@keyturn/client"));
const sources = new Map<string, string>();
const moduleName = /^[\w-]+\.(?:ts|js)$/;

/**
 * A module of the client as JavaScript: `index.js` is where it begins, the others have their own names. A bundler
 * would do this for you; so that the example needs none, types are taken off where there are any.
 */
function clientModule(name: string): string | undefined {
  if (!moduleName.test(name)) return undefined;
  const known = sources.get(name);
  if (known !== undefined) return known;
  const file = name === "index.js" ? entry : path.join(path.dirname(entry), name);
  try {
    const text = readFileSync(file, "utf8");
    const source = file.endsWith(".ts") ? stripTypeScriptTypes(text) : text;
    sources.set(name, source);
    return source;
  } catch {
    return undefined;
  }
}
