import { parse, serialize } from "hono/utils/cookie";
import type { PageRequest } from "../http/page.ts";
import { limits } from "../primitives/limits.ts";

/** What a link or a ticket has at most, and more than a cookie is given. */
const CHARACTERS_MAX = 200;

export type MailCookies = ReturnType<typeof createMailCookies>;

/**
 * Where a browser keeps what a letter's link has brought, and the ticket of who asked for one. A link is set aside here
 * at once: from then on it is in no address, so it reaches neither the history nor another page nor a proxy's log. Each
 * kind has a cookie of its own. `Lax`: a link comes from another site, the mailbox.
 */
export function createMailCookies({ issuer }: { readonly issuer: string }) {
  const secure = issuer.startsWith("https:");
  // `__Host-`: no other host, and nobody on plain http, can plant one. It wants the path /.
  const prefix = secure ? "__Host-keyturn" : "keyturn";
  const options = { path: "/", httpOnly: true, sameSite: "Lax", secure } as const;

  function cookie(kind: string, minutes: number) {
    const name = `${prefix}-${kind}`;
    return {
      valueIn({ header }: Pick<PageRequest, "header">): string | undefined {
        const cookies = header("cookie");
        return cookies === undefined ? undefined : parse(cookies, name)[name];
      },
      set: (value: string): string =>
        serialize(name, value.slice(0, CHARACTERS_MAX), { ...options, maxAge: minutes * 60 }),
      clear: (): string => serialize(name, "", { ...options, maxAge: 0 }),
    };
  }

  return {
    confirmLink: cookie("link-confirm", limits.linkSetAsideMinutes),
    resetLink: cookie("link-reset", limits.linkSetAsideMinutes),
    signInLink: cookie("link-sign-in", limits.linkSetAsideMinutes),
    // Longer than the digits are good: those are counted from the sending.
    signInTicket: cookie("mail-ticket", 2 * limits.signInByMailMinutes),
  };
}
