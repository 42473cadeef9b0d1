import type { Access } from "./access.ts";
import type { StoredCredentials } from "./credential-storage.ts";
import type { SignedOutReason } from "./events.ts";
import { unreachable } from "./keyturn-error.ts";
import type { Mode, ModeParts, SignOutOptions } from "./mode.ts";
import { onDemand } from "./on-demand.ts";
import { isOver, isRefusal } from "./presence.ts";
import { joinTabs, type TabMessage } from "./tabs.ts";
import { createVault } from "./vault.ts";

/** How often a change by others is followed before it is left to the next attempt, and how often news is looked for. */
const looksMax = 10;
/** Between two looks for the news of what another tab did, which may be behind what it wrote. */
const newsPauseMs = 25;

/** The session is a refresh token in a storage, which is replaced at every use. */
export function createTokenMode(parts: ModeParts): Mode {
  const { settings, runtime, closed, issuer, access, presence } = parts;
  const { storage } = settings;
  const vault = createVault(settings);
  const tabs = joinTabs(parts, {
    name: `keyturn:${settings.issuer}`,
    isShared: storage.sharedByTabs,
    hear: (message) => void hear(message).catch(() => {}),
  });
  const findSigning = onDemand(async () => {
    const { createSigning } = await import("./signing.ts");
    return createSigning({ ...parts, tabs, vault, look });
  });
  runtime.onWake("visibilitychange", () => void look().catch(() => {}), closed);

  async function waitForNews(isHere: () => boolean): Promise<void> {
    for (let looks = 0; looks < looksMax && storage.sharedByTabs && !isHere(); looks++)
      await runtime.sleep(newsPauseMs);
  }

  /** What is stored now, whoever stored it. */
  async function look(): Promise<StoredCredentials | undefined> {
    let record = await vault.read();
    if (!record && !presence.isEndKnown()) {
      // Another tab may have emptied the store; why, it tells a moment later.
      await waitForNews(presence.isEndKnown);
      record = await vault.read();
    }
    presence.see(record);
    return record;
  }

  async function hear({ type, sessionId, reason, access: reply }: TabMessage): Promise<void> {
    const sinceMs = runtime.now();
    if (type === "signedOut") presence.expectEnd(sessionId, isOver(reason) ? reason : "signed_out");
    // A tab that has not looked yet would take whoever arrives for somebody who was here all the time.
    if (type === "signedIn" && !presence.current()) presence.see(undefined);
    const record = await look();
    if (!record || !reply || reply.sessionId !== record.sessionId) return;
    const news = access.read(reply, sinceMs, record.dpop);
    // It may have been on its way for long: tabs in the background are frozen.
    if (news.goodUntilMs <= (access.peek()?.goodUntilMs ?? 0)) return;
    if (type === "refreshed") presence.refresh(news);
    else access.set(news);
  }

  /** One turn of what is stored. Undefined: others have changed that meanwhile, look again. */
  async function turn(record: StoredCredentials): Promise<Access | undefined> {
    const era = presence.era();
    const sinceMs = runtime.now();
    const { refreshToken, sessionId } = record;
    const reply = await issuer.refresh(record).catch((error) => refused(error, record));
    if (!reply) return undefined;
    // Stored before anything of the reply is used. Where another tab was faster, what it wrote stays.
    const isStored = await vault.replace(refreshToken, { ...record, refreshToken: reply.refreshToken });
    if (!isStored && (await look())?.sessionId !== sessionId) return undefined;
    if (presence.era() !== era) return undefined;
    const fresh = access.read(reply.access, sinceMs, record.dpop);
    tabs.tell({ type: "refreshed", sessionId, access: reply.access });
    presence.refresh(fresh);
    return fresh;
  }

  async function refused(error: unknown, record: StoredCredentials): Promise<undefined> {
    if (!isRefusal(error)) throw error;
    // Only what was refused is forgotten: somebody may have signed in again meanwhile.
    if (isOver(error.reason)) await forget(record, error.reason);
    // Another tab may have a newer one. If not, all is kept: the server may find its memory again.
    else if ((await look())?.refreshToken === record.refreshToken) throw error;
  }

  /** Takes the record out of the storage, unless there is another one by now; whether it did. */
  async function forget({ refreshToken, sessionId }: StoredCredentials, reason: SignedOutReason) {
    presence.expectEnd(sessionId, reason);
    const isForgotten = await vault.replace(refreshToken, undefined);
    if (isForgotten) tabs.tell({ type: "signedOut", sessionId, reason });
    return isForgotten;
  }

  async function renew(): Promise<Access> {
    const before = access.peek();
    const stored = (await look())?.refreshToken;
    return tabs.alone(async () => {
      for (let looks = 0; looks < looksMax; looks++) {
        const record = await look();
        if (!record) throw presence.signedOut();
        if (record.refreshToken !== stored) await waitForNews(() => access.peek() !== before);
        const heard = access.peek();
        const isOurs = heard !== before && heard?.sessionId === record.sessionId;
        if (isOurs && runtime.now() < heard.refreshAtMs) return heard;
        const fresh = await turn(record);
        if (fresh) return fresh;
      }
      throw unreachable();
    });
  }

  async function signOut({ everywhere }: SignOutOptions = {}): Promise<{ told: boolean }> {
    for (let looks = 0; looks < looksMax; looks++) {
      const record = await vault.read().catch(vault.last);
      presence.see(record);
      if (!record) return { told: false };
      if (!(await forget(record, "signed_out"))) continue;
      presence.see(undefined);
      // What was kept here is gone, whether that part can be loaded or not.
      const telling = findSigning().then((signing) => signing.tellServer(record, everywhere));
      return { told: await telling.catch(() => false) };
    }
    throw unreachable();
  }

  return {
    renew,
    ways: findSigning,
    signOut,
    async session() {
      await look();
      return presence.current();
    },
  };
}
