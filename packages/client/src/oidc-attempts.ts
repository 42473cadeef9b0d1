import type { Attempt, CredentialStorage } from "./credential-storage.ts";
import type { Tools } from "./tools.ts";

/** Sign-ins that have left for the provider, of all tabs: each found by its `state`, and taken once. */
export interface Attempts {
  add(attempt: Attempt): Promise<void>;
  find(state: string): Promise<Attempt | undefined>;
  /** The one who gets it is the only one. */
  take(state: string): Promise<Attempt | undefined>;
}

/** Those that never came back are forgotten when so many newer ones have left. */
const attemptsMax = 10;
const triesMax = 20;
const nobody = { id: "", username: "", roles: [] };

export function createAttempts(storage: CredentialStorage, name: string, tools: Tools): Attempts {
  const unreachable = tools[6];
  const KeyturnError = tools[7];
  const key = `${name}#attempts`;

  function failed(cause: unknown): never {
    throw cause instanceof KeyturnError
      ? cause
      : new KeyturnError("unavailable", "The storage cannot be used", { cause });
  }

  /** Whether there was something to change. */
  async function change(
    next: (attempts: readonly Attempt[]) => readonly Attempt[] | undefined,
  ): Promise<boolean> {
    for (let tries = 0; tries < triesMax; tries++) {
      const before = await storage.read(key).catch(failed);
      const attempts = next(before?.attempts ?? []);
      if (attempts === undefined) return false;
      // Another name at every change: that is what the storage compares.
      const record = { refreshToken: crypto.randomUUID(), sessionId: "", user: nobody, attempts };
      const left = attempts.length > 0 ? record : undefined;
      if (await storage.replace(key, before?.refreshToken, left).catch(failed)) return true;
    }
    throw unreachable();
  }

  const find = async (state: string) =>
    (await storage.read(key).catch(failed))?.attempts?.find((attempt) => attempt.state === state);

  return {
    find,
    async add(attempt) {
      await change((attempts) => [attempt, ...attempts].slice(0, attemptsMax));
    },
    async take(state) {
      const found = await find(state);
      const isTaken = await change((attempts) => {
        const others = attempts.filter((attempt) => attempt.state !== state);
        return others.length < attempts.length ? others : undefined;
      });
      return isTaken ? found : undefined;
    },
  };
}
