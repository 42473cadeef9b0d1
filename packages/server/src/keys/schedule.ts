import type { Settings } from "../config-schema.ts";
import { limits } from "../primitives/limits.ts";

export type ScheduleSettings = Pick<Settings, "signingKeyDays" | "jwksCacheSeconds" | "idTokenSeconds">;

/** How long a running node may take to notice what another one changed: several ticks, one of them failed. */
export const NODE_RELOAD_SECONDS = 60;

/** Keys of one algorithm that are retiring at once; a bound on the key set that verifiers have to fetch. */
export const RETIRING_KEYS_MAX = 30;

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * When a *next* key may sign: a verifier that fetched the key set from a node that had not noticed the key yet,
 * and kept it as long as it may, has fetched it again by then. Milliseconds since 1970, as are all of these.
 */
export function readyAt(next: { created_at: number }, settings: ScheduleSettings): number {
  return next.created_at + (settings.jwksCacheSeconds + NODE_RELOAD_SECONDS) * 1000;
}

/** When a *current* key is replaced by itself. */
export function dueAt(current: { current_at: number | null }, settings: ScheduleSettings): number {
  return (current.current_at ?? 0) + settings.signingKeyDays * DAY_MS;
}

/**
 * When a *retiring* key is needed by nobody: the last token it signed, on a node that noticed late, has expired
 * for the most tolerant verifier. The longest life that any setting allows is taken, not today's: the setting
 * may have been longer when the token was made.
 */
export function retiredFrom(retiring: { retiring_at: number | null }, settings: ScheduleSettings): number {
  const tokenSeconds = Math.max(limits.accessTokenSecondsMax, settings.idTokenSeconds);
  const seconds = tokenSeconds + limits.clockToleranceSecondsMax + NODE_RELOAD_SECONDS;
  return (retiring.retiring_at ?? 0) + seconds * 1000;
}
