import type { Hooks } from "../hooks.ts";
import type { Log } from "../observability/log.ts";
import { limits } from "../primitives/limits.ts";
import { cleanText } from "../users/names.ts";

export type PlaceOf = NonNullable<Hooks["placeOf"]>;

/**
 * Where addresses are, as far as the operator's hook says in time. It decorates a page and decides nothing: one that
 * is slow, fails or answers with something else leaves a place out.
 */
export function createPlaces({ placeOf, log }: { placeOf: PlaceOf | undefined; log: Pick<Log, "debug"> }) {
  async function ask(ip: string, hook: PlaceOf): Promise<string | undefined> {
    try {
      const place = await hook(ip);
      return typeof place === "string" ? cleanText(place, limits.placeCharactersMax) : undefined;
    } catch (error) {
      log.debug({ err: error }, "The hook placeOf failed");
      return undefined;
    }
  }

  return async function placesOf(ips: ReadonlySet<string>): Promise<ReadonlyMap<string, string>> {
    const places = new Map<string, string>();
    if (placeOf === undefined || ips.size === 0) return places;
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limits.placeMillisecondsMax);
    });
    const asked = [...ips].map(async (ip) => {
      const place = await ask(ip, placeOf);
      if (place !== undefined) places.set(ip, place);
    });
    await Promise.race([Promise.all(asked), tooLate]);
    clearTimeout(timer);
    // A copy: what comes too late must not change a page that is being made.
    return new Map(places);
  };
}
