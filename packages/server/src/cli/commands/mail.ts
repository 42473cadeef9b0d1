import { sendTestMail } from "../../admin/commands/mail.ts";
import { openPost } from "../../app-mail.ts";
import type { ResolvedSettings } from "../../config.ts";
import type { Trouble } from "../../mail/transport.ts";
import type { Context } from "../open.ts";
import { type Outcome, refused } from "../outcome.ts";
import { loadSettings } from "../settings.ts";

/** What to look at, for each place where it can fail. */
const advice: Readonly<Record<Trouble, string>> = {
  address: "This is not one e-mail address.",
  dns: "The host of KEYTURN_MAIL has no address: is its name right?",
  connect:
    "The mail server did not take the connection: are host and port of KEYTURN_MAIL right, and does a firewall let it through? smtps is port 465, smtp with STARTTLS is port 587.",
  tls: "No TLS that can be trusted: the server offers none, or its certificate is not good for the host in KEYTURN_MAIL.",
  login:
    "The mail server did not accept user and password: are they right in KEYTURN_MAIL, with special characters as %XX?",
  sender: "The mail server does not take mails from this address: set KEYTURN_MAIL_FROM to one that it does.",
  recipient: "The mail server does not take mails to this address.",
  message: "The mail server took the addresses and refused the mail.",
  too_slow: "The mail server did not answer in time.",
  other: "Something else went wrong.",
};

/** Exit code 1 when the mail was not taken. */
export async function test(context: Context, address: string): Promise<Outcome> {
  const { settings, hooks } = await loadSettings(context.sources);
  const print = (text: string) => void context.terminal.stderr.write(text);
  const post = openPost({ settings, hooks, print });
  const delivered = await sendTestMail(address, { settings, post });
  switch (delivered.outcome) {
    case "off":
      return refused("mail_off", "Mail is off: set KEYTURN_MAIL to a mail server.");
    case "sent":
      return { outcome: "done", json: { sent: true, from: settings.mailFrom }, text: sentText(settings) };
    case "refused":
    case "failed": {
      const said = delivered.said === "" ? "" : ` It came to: ${delivered.said}`;
      return refused(`mail_${delivered.trouble}`, `${advice[delivered.trouble]}${said}`);
    }
  }
}

function sentText({ mail, mailFrom, issuer }: ResolvedSettings): string {
  if (mail === undefined) return `Kept in the development outbox: ${issuer}/outbox`;
  return `${new URL(mail).hostname} has taken the mail, from ${mailFrom}. Look whether it arrives, and not among the spam.`;
}
