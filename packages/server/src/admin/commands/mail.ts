import { createLetters } from "../../mail/letters.ts";
import type { MailMode } from "../../mail/mode.ts";
import type { MailTexts } from "../../mail/text-keys.ts";
import type { Delivered, Transport } from "../../mail/transport.ts";
import { systemClock } from "../../primitives/clock.ts";
import { newId } from "../../primitives/id.ts";

interface Dependencies {
  readonly settings: { readonly issuer: string; readonly siteName: string; readonly mailLanguage: string };
  readonly post: {
    readonly mode: MailMode;
    readonly languages: ReadonlyMap<string, MailTexts>;
    readonly transport: Transport;
  };
}

/** Sends a mail that says nothing, at once and once, to see whether mails arrive. */
export async function sendTestMail(
  to: string,
  { settings, post }: Dependencies,
): Promise<Delivered | { readonly outcome: "off" }> {
  if (post.mode === "off") return { outcome: "off" };
  const now = () => systemClock.now();
  const letters = createLetters({ settings, languages: post.languages, now });
  try {
    return await post.transport.deliver(letters.test({ id: newId(now()), to }));
  } finally {
    post.transport.close();
  }
}
