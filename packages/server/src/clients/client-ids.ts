import { limits } from "../primitives/limits.ts";
import { isLoopback } from "../primitives/loopback.ts";
import { randomBytes } from "../primitives/random.ts";

/** What the first-party API calls itself in tokens and sessions. */
const RESERVED: ReadonlySet<string> = new Set(["first-party"]);
const ID = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const VISIBLE = /^https?:\/\/[\x21-\x7e]+$/;

/** What keeps an id from being given to a client; undefined when it may be. */
export function idProblem(id: string): "taken" | "malformed" | undefined {
  if (!ID.test(id)) return "malformed";
  return RESERVED.has(id) ? "taken" : undefined;
}

/**
 * Whether the id is the address of a document that says who the client is.
 * draft-ietf-oauth-client-id-metadata-document §3: https, a path, no user, no dot segments, no fragment. Written as
 * browsers write it, so that two ids are never one address; that a port which goes without saying is not written is the
 * one thing in which this is stricter. http is for a host of this machine, while developing.
 */
export function isDocumentId(id: string): boolean {
  if (id.length > limits.clientIdOfDocumentCharactersMax || !VISIBLE.test(id) || id.includes("#"))
    return false;
  const url = URL.parse(id);
  if (url === null || url.href !== id || url.username !== "" || url.password !== "") return false;
  return url.protocol === "https:" || isLoopback(url.hostname);
}

/** Keeps from the engine what it might refuse or read differently: NULs, lone surrogates, a megabyte. */
export const isIdOfClient = (id: string): boolean => ID.test(id) || isDocumentId(id);

/** "Web shop" → web-shop-3f9c1a: readable, and not taken. */
export function idFromName(name: string): string {
  const ascii = name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/\p{M}/gu, "")
    .replace(/[^a-z0-9]+/g, "-");
  const slug = ascii.slice(0, 40).replace(/^-+|-+$/g, "");
  return `${slug || "client"}-${randomBytes(3).toString("hex")}`;
}

/** For a client that registered itself: nothing of it is the stranger's own words. */
export const randomClientId = (): string => `c-${randomBytes(16).toString("hex")}`;

const NOT_IN_A_NAME = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

/** The name as it is kept; undefined when it cannot be one. */
export function clientName(text: string): string | undefined {
  if (text.length > 2 * limits.nameCharactersMax || !text.isWellFormed()) return undefined;
  const name = text.trim().normalize("NFC");
  if (name === "" || [...name].length > limits.nameCharactersMax) return undefined;
  return NOT_IN_A_NAME.test(name) ? undefined : name;
}

export const NAME_PROBLEM = `A name has 1 to ${limits.nameCharactersMax} characters, without line breaks or control characters.`;
