import { type AccessReply, isJson, readAccess } from "./replies.ts";
import type { Runtime } from "./runtime.ts";

/** What tabs tell one another. It is a hint: whoever hears it reads the store. */
export interface TabMessage {
  /** Whoever hears a word that is none of these does nothing. */
  readonly type: "signedIn" | "refreshed" | "signedOut";
  readonly sessionId: string;
  readonly reason?: string | undefined;
  /** The new access token, for tabs that hear of it at once. */
  readonly access?: AccessReply | undefined;
}

/** The other tabs of this origin. */
export interface Tabs {
  /** Runs while no other tab does, or after having waited long enough for that. */
  alone<T>(work: () => Promise<T>): Promise<T>;
  tell(message: TabMessage): void;
  close(): void;
}

export interface TabsParts {
  readonly name: string;
  readonly runtime: Runtime;
  readonly lockSeconds: number;
  readonly hear: (message: TabMessage) => void;
}

/** A client that shares its credentials with nobody. */
export const noTabs: Tabs = { alone: (work) => work(), tell() {}, close() {} };

/** Other scripts of the page can post into the channel too, and so can another version of this one. */
function readMessage(data: unknown): TabMessage | undefined {
  if (!isJson(data) || typeof data.type !== "string" || typeof data.sessionId !== "string") return undefined;
  const { type, sessionId, reason } = data;
  const access = readAccess(data.access);
  return {
    type: type as TabMessage["type"],
    sessionId,
    reason: typeof reason === "string" ? reason : undefined,
    access: access?.sessionId === sessionId ? access : undefined,
  };
}

export function joinTabs({ name, runtime, lockSeconds, hear }: TabsParts): Tabs {
  const channel = runtime.openChannel(name);
  if (channel !== undefined) {
    channel.onmessage = ({ data }) => {
      const message = readMessage(data);
      if (message !== undefined) hear(message);
    };
  }

  async function alone<T>(work: () => Promise<T>): Promise<T> {
    const { locks } = runtime;
    if (locks === undefined) return work();
    let working: Promise<T> | undefined;
    const start = () => {
      working ??= work();
      return working;
    };
    const late = new AbortController();
    const granted = new AbortController();
    void runtime.sleep(lockSeconds * 1000, granted.signal).then(() => late.abort());
    try {
      return await locks.request(name, { signal: late.signal }, () => {
        granted.abort();
        return start();
      });
    } catch {
      // Not in time, or not at all (a frozen tab holds it; a page without an origin has none). The lock spares
      // requests; it is the server that makes all come to one end. What `work` itself threw is thrown again here.
      return start();
    } finally {
      granted.abort();
    }
  }

  return {
    alone,
    tell(message) {
      try {
        channel?.postMessage(message);
      } catch {
        // A closed channel. The others read the store when they need it.
      }
    },
    close: () => channel?.close(),
  };
}
