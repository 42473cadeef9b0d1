import type { z } from "zod";
import { type SettingNotes, settingNotes } from "./config-notes.ts";
import { type Settings, settingsSchema } from "./config-schema.ts";
import { systemClock } from "./primitives/clock.ts";
import { mailboxOf } from "./primitives/mailbox.ts";

/** A setting that stops the start: one line that names it, what it got, and what it takes. */
export class WrongSetting extends Error {
  override readonly name = "WrongSetting";
}

/** While it is open, a leaked tag key is enough to take over sessions: nobody should forget it open. */
const RESTORE_WINDOW_MS_MAX = 48 * 60 * 60 * 1000;

/** Settings with what depends on other settings filled in. */
export interface ResolvedSettings extends Settings {
  readonly issuer: string;
  readonly audience: string;
  readonly database: string;
  readonly mailFrom: string;
}

/** A session cannot idle for longer than it may live. */
const lives = [
  ["appIdleSeconds", "appAbsoluteSeconds"],
  ["browserIdleSeconds", "browserAbsoluteSeconds"],
] as const;

/**
 * Checks settings and fills in the defaults.
 * @param nameOf how to call a setting in an error: by its environment variable, when it came from there
 * @throws WrongSetting one line for each wrong setting: its name, what it got (never a secret), what it takes
 */
export function parseSettings(
  input: unknown,
  nameOf: (name: string) => string = (name) => name,
): ResolvedSettings {
  const parsed = settingsSchema.safeParse(input);
  if (!parsed.success) throw new WrongSetting(describeWrong(parsed.error, input, nameOf));
  const settings = parsed.data;
  for (const [idle, absolute] of lives) {
    if (settings[idle] <= settings[absolute]) continue;
    throw new WrongSetting(
      `${nameOf(idle)} is ${settings[idle]}, more than ${nameOf(absolute)} (${settings[absolute]}); it takes at most that.`,
    );
  }
  const { restoreWindowUntil } = settings;
  if (
    restoreWindowUntil !== undefined &&
    Date.parse(restoreWindowUntil) > systemClock.now() + RESTORE_WINDOW_MS_MAX
  ) {
    throw new WrongSetting(
      `${nameOf("restoreWindowUntil")} is ${restoreWindowUntil}; it takes ${settingNotes.restoreWindowUntil.takes}.`,
    );
  }
  const { breachedPasswords: service, privateHosts } = settings;
  // Else each look-up would fail, which is quiet, and every password would be taken.
  if (service.startsWith("http:") && !privateHosts.includes(new URL(service).host)) {
    throw new WrongSetting(
      `${nameOf("breachedPasswords")} is ${JSON.stringify(service)}, whose host is not in ${nameOf("privateHosts")}; it takes ${settingNotes.breachedPasswords.takes}.`,
    );
  }
  if (settings.dynamicRegistration === "token" && settings.registrationToken === undefined) {
    throw new WrongSetting(
      `${nameOf("dynamicRegistration")} is token, and ${nameOf("registrationToken")} is not set; it takes ${settingNotes.registrationToken.takes}.`,
    );
  }
  const issuer = settings.issuer ?? `http://localhost:${settings.port}`;
  return {
    ...settings,
    issuer,
    audience: settings.audience ?? issuer,
    database: settings.database ?? `sqlite:${settings.data.replace(/\/+$/, "")}/keyturn.db`,
    mailFrom: settings.mailFrom ?? `no-reply@${mailDomain(issuer)}`,
  };
}

/** What stands behind the @ of our address. An address of numbers is none that anybody could answer. */
function mailDomain(issuer: string): string {
  const { hostname } = new URL(issuer);
  return mailboxOf(`no-reply@${hostname}`) === undefined ? "localhost" : hostname;
}

function describeWrong(error: z.ZodError, input: unknown, nameOf: (name: string) => string): string {
  const lines = new Set<string>();
  for (const issue of error.issues) {
    if (issue.code === "unrecognized_keys" && issue.path.length > 0) {
      for (const key of issue.keys)
        lines.add(`${nameOf(String(issue.path[0]))}${placeIn([...issue.path.slice(1), key])} is unknown.`);
      continue;
    }
    if (issue.code === "unrecognized_keys") {
      for (const name of issue.keys) lines.add(`There is no setting ${name}; docs/settings.md lists them.`);
      continue;
    }
    const name = String(issue.path[0] ?? "");
    const notes = (settingNotes as Record<string, SettingNotes | undefined>)[name];
    if (notes === undefined) {
      lines.add("The settings must be an object, as in { port: 3000 }.");
      continue;
    }
    // A list of objects: where in it, and what is wrong there, is more use than the list.
    if (name === "clients" && issue.path.length > 1) {
      lines.add(`${nameOf(name)}${placeIn(issue.path.slice(1))} is wrong; ${takesOf(issue)}.`);
      continue;
    }
    const got = (input as Record<string, unknown>)[name];
    const shown = notes.secret ? "a wrong value (not shown)" : JSON.stringify(got)?.slice(0, 100);
    lines.add(`${nameOf(name)} is ${shown}; it takes ${notes.takes}.`);
  }
  return [...lines].join("\n");
}

/** `[0].metadata.scope` */
function placeIn(path: readonly PropertyKey[]): string {
  return path.map((one) => (typeof one === "number" ? `[${one}]` : `.${String(one)}`)).join("");
}

function takesOf({ message }: { readonly message: string }): string {
  return message.startsWith("takes ") ? `it ${message}` : message.charAt(0).toLowerCase() + message.slice(1);
}
