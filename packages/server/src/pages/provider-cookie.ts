import { parse, serialize } from "hono/utils/cookie";
import { limits } from "../primitives/limits.ts";
import { binderFrom } from "../providers/attempts.ts";

export type BinderCookie = ReturnType<typeof createBinderCookie>;

/**
 * What ties an answer of a provider to the browser that asked (RFC 9700 §2.1: "bound to the user agent"). `Lax`: it comes with the
 * navigation that leads back. Ten tabs of one browser share it; each has a state of its own.
 */
export function createBinderCookie({ issuer }: { readonly issuer: string }) {
  const secure = issuer.startsWith("https:");
  // `__Host-`: no other host, and nobody on plain http, can plant one that they know.
  const name = secure ? "__Host-keyturn-provider" : "keyturn-provider";
  const options = { path: "/", httpOnly: true, secure, sameSite: "Lax" } as const;

  return {
    valueIn({ header }: { header(name: string): string | undefined }): string | undefined {
      const cookies = header("cookie");
      return cookies === undefined ? undefined : binderFrom(parse(cookies, name)[name]);
    },
    /** For as long as an attempt, and what may come after it. */
    set: (binder: string): string =>
      serialize(name, binder, { ...options, maxAge: 2 * limits.providerAttemptSeconds }),
    clear: (): string => serialize(name, "", { ...options, maxAge: 0 }),
  };
}
