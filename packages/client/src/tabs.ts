import { type AccessReply, isJson, readAccess } from "./replies.ts";
import { within } from "./within.ts";
import type { World } from "./world.ts";

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
  /**
   * Runs while no other tab does, or after having waited long enough for one of them. Who waits in a row of tabs that
   * do their work one after the other, slowly, waits on: then it is another one that is at work.
   */
  alone<T>(work: () => Promise<T>): Promise<T>;
  tell(message: TabMessage): void;
}

export interface TabsParts {
  readonly name: string;
  /** False: this client shares its credentials with nobody. */
  readonly isShared: boolean;
  readonly hear: (message: TabMessage) => void;
}

export function joinTabs(world: World, { name, isShared, hear }: TabsParts): Tabs {
  const { settings, runtime, closed } = world;
  // A mode may be loaded when the client is closed already.
  const channel = isShared && !closed.aborted ? runtime.openChannel(name) : undefined;
  const locks = isShared && runtime.locks;
  if (channel) {
    closed.addEventListener("abort", () => channel.close());
    // Other scripts of the page can post into it too, and so can another version of this one: a token is used only in
    // the right form, and the rest is no more than compared with what is known here.
    channel.onmessage = ({ data }) => {
      if (isJson(data)) hear({ ...data, access: readAccess(data.access) } as TabMessage);
    };
  }

  async function alone<T>(work: () => Promise<T>): Promise<T> {
    if (!locks) return work();
    let working: Promise<T> | undefined;
    const start = () => (working ??= work());
    /** The tab that is at work, if it can be told. */
    const holder = () =>
      locks
        .query()
        .then(({ held }) => held.find((lock) => lock.name === name)?.clientId)
        .catch(() => {});
    // Its place in the row is taken at once: nobody comes between that and the look.
    const asking = within(
      (over) => runtime.sleep(settings.lockSeconds * 1000, over),
      (signal) => locks.request(name, { signal }, start),
    ).catch(() => {});
    const before = await holder();
    await asking;
    // Not in time, or not at all (a frozen tab holds it; a page without an origin has none). The lock spares
    // requests; it is the server that makes all come to one end. What `work` itself threw is thrown again here.
    return working || (await holder()) === before ? start() : alone(work);
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
  };
}
