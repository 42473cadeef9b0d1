/** A bounded memory: what was put in last, or used last, stays longest. */
export type Generations<V> = {
  get(key: string): V | undefined;
  set(key: string, value: V): void;
};

/**
 * Two maps: what is new or used goes to the young one, and when that is full the old one is dropped whole. It holds
 * at most `entriesMax`, and the latest half of that for sure; 0 holds nothing.
 */
export function createGenerations<V>(entriesMax: number): Generations<V> {
  const generationMax = Math.max(1, Math.floor(entriesMax / 2));
  let young = new Map<string, V>();
  let old = new Map<string, V>();

  function set(key: string, value: V): void {
    if (entriesMax < 1) return;
    if (young.size >= generationMax) {
      old = young;
      young = new Map();
    }
    young.set(key, value);
  }

  return {
    get(key) {
      const value = young.get(key);
      if (value !== undefined) return value;
      const older = old.get(key);
      if (older === undefined) return undefined;
      old.delete(key);
      set(key, older);
      return older;
    },
    set,
  };
}
