/** What is kept for a browser, by a random id that only its cookie knows. In memory: a restart forgets it. */
import { randomBytes } from "node:crypto";

export function createKept<Value>({ max, seconds }: { readonly max: number; readonly seconds: number }) {
  const all = new Map<string, { value: Value; until: number }>();

  return {
    seconds,
    /** @returns the id, for a cookie. */
    put(value: Value): string {
      const [oldest] = all.keys();
      if (all.size >= max && oldest !== undefined) all.delete(oldest);
      const id = randomBytes(24).toString("base64url");
      all.set(id, { value, until: Date.now() + seconds * 1000 });
      return id;
    },
    get(id: string | undefined): Value | undefined {
      const found = all.get(id ?? "");
      return found !== undefined && found.until > Date.now() ? found.value : undefined;
    },
    delete(id: string | undefined): void {
      all.delete(id ?? "");
    },
    deleteWhere(isMeant: (value: Value) => boolean): void {
      for (const [id, { value }] of all) if (isMeant(value)) all.delete(id);
    },
  };
}
