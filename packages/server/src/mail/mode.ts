import type { Settings } from "../config-schema.ts";
import { isLoopback } from "../primitives/loopback.ts";

/**
 * `server`: mails leave by a mail server. `development`: they are printed and kept in a folder. `off`: nothing is
 * mailed, and nobody is offered what would need a mail.
 */
export type MailMode = "server" | "development" | "off";

export function mailMode({ mail, issuer }: Pick<Settings, "mail"> & { readonly issuer: string }): MailMode {
  if (mail !== undefined) return "server";
  return isLoopback(new URL(issuer).hostname) ? "development" : "off";
}
