import type { ResolvedSettings } from "../../../config.ts";
import { mailMode } from "../../../mail/mode.ts";
import { isLoopback } from "../../../primitives/loopback.ts";
import { type Finding, ok, warn } from "./finding.ts";

/** What becomes of mails. Whether they arrive is for `keyturn mail test` to say: this changes nothing anywhere. */
export function* diagnoseMail(settings: ResolvedSettings): Generator<Finding> {
  const { mail, mailFrom, data, issuer } = settings;
  switch (mailMode(settings)) {
    case "off":
      yield warn(
        "mail",
        "mail is off, so nobody can verify an address, reset a password or sign in by mail: set KEYTURN_MAIL",
      );
      return;
    case "development":
      yield ok("mail", `mails are printed and kept in ${data}/outbox: ${issuer}/outbox`);
      return;
    case "server": {
      const { hostname, protocol } = new URL(mail ?? "");
      const isInTheClear = protocol === "smtp:" && isLoopback(hostname);
      const how = isInTheClear ? "without TLS where it offers none" : "over TLS";
      yield ok(
        "mail",
        `mails go to ${hostname} ${how}, from ${mailFrom}; keyturn mail test ADDRESS tries it`,
      );
      if (settings.mailFrom.endsWith("@localhost"))
        yield warn(
          "mail",
          "mails come from an address at localhost, which nobody can answer: set KEYTURN_MAIL_FROM",
        );
    }
  }
}
