import { hash } from "node:crypto";
import type { Settings } from "../config-schema.ts";
import type { Log } from "../observability/log.ts";
import type { Clock } from "../primitives/clock.ts";
import { limits } from "../primitives/limits.ts";
import { createOutgoing, type Outgoing, OutgoingFailed } from "./outgoing.ts";

const PREFIX_DIGITS = 5;
/** The rest of a SHA-1 and how often it was seen; padding is seen 0 times. */
const LINE = /^([0-9A-F]{35}):(\d{1,15})$/i;
const LOG_EVERY_MS = 60_000;

interface Dependencies {
  readonly settings: Pick<Settings, "breachedPasswords" | "privateHosts">;
  readonly clock: Clock;
  readonly log: Pick<Log, "warn">;
  /** For tests. */
  readonly outgoing?: Outgoing;
}

/**
 * Asks a range service, in the form of Pwned Passwords, whether a password was in a breach: it is told the first five
 * hexadecimal digits of the password's SHA-1, which some two thousand known passwords share, and answers with all of
 * those. `isBreached` is undefined where the settings name no service.
 */
export function createBreachLookups({ settings, clock, log, outgoing }: Dependencies) {
  const service = settings.breachedPasswords;
  const counts = { found: 0, absent: 0, failed: 0 };
  let loggedAt = Number.NEGATIVE_INFINITY;
  const ask =
    outgoing ??
    createOutgoing({
      settings,
      milliseconds: limits.breachLookupMillisecondsMax,
      bytesMax: limits.breachLookupBytesMax,
    });

  async function look(normalised: string): Promise<"found" | "absent"> {
    const digest = hash("sha1", normalised, "hex").toUpperCase();
    const response = await ask(`${service}${digest.slice(0, PREFIX_DIGITS)}`, {
      method: "GET",
      // Padding: else the length of the answer, which TLS shows, tells which range was asked for.
      headers: { "add-padding": "true", accept: "text/plain", "user-agent": "keyturn" },
    });
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    return isListed(await response.text(), digest.slice(PREFIX_DIGITS)) ? "found" : "absent";
  }

  /**
   * A service that fails must stop nobody from changing a password: then the list that is here has decided alone. It
   * is counted, and logged once a minute.
   */
  async function isBreached(normalised: string): Promise<boolean> {
    try {
      const outcome = await look(normalised);
      counts[outcome]++;
      return outcome === "found";
    } catch (error) {
      counts.failed++;
      const now = clock.now();
      if (now - loggedAt >= LOG_EVERY_MS) {
        loggedAt = now;
        const problem = error instanceof OutgoingFailed ? error.problem : "answer";
        log.warn({ problem, failed: counts.failed }, "Breached passwords could not be looked up");
      }
      return false;
    }
  }

  return {
    isBreached: service === "local" ? undefined : isBreached,
    /** Since the start, by outcome; nothing where there is no service. */
    counts: (): Readonly<Record<string, number>> => (service === "local" ? {} : counts),
  };
}

/** @throws when it is not what a range service answers: a page of a portal must not count as "not found" */
function isListed(text: string, suffix: string): boolean {
  let found = false;
  for (const line of text.split(/\r?\n/)) {
    if (line === "") continue;
    const [, rest, times] = LINE.exec(line) ?? [];
    if (rest === undefined) throw new Error("not the answer of a range service");
    if (rest.toUpperCase() === suffix && Number(times) > 0) found = true;
  }
  return found;
}
