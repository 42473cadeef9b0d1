import { type Access, createAccess, createAccessKeeper } from "./access.ts";
import type { StoredCredentials } from "./credential-storage.ts";
import { createIssuer } from "./issuer.ts";
import { isTransient } from "./keyturn-error.ts";
import type { Credentials, Mode, ModeParts, SignOutOptions } from "./mode.ts";
import { unreachable } from "./patience.ts";
import { createPresence, isOver, isRefusal } from "./presence.ts";
import { createProofs } from "./proofs.ts";
import type { AccessReply, TokenReply } from "./replies.ts";
import type { Session } from "./session.ts";
import { joinTabs, noTabs, type TabMessage } from "./tabs.ts";
import { createTokenRequests } from "./token-requests.ts";
import { createVault } from "./vault.ts";

/** How often a change by others is followed before it is left to the next attempt. */
const looksMax = 10;
/** How long the news of what another tab did may be behind what it wrote. */
const newsMs = 50;

/** The session is a refresh token in a storage, which is replaced at every use. */
export function createTokenMode(parts: ModeParts): Mode {
  const { settings, runtime, events, closed } = parts;
  const { issuer: key, storage, lockSeconds } = settings;
  const proofs = createProofs(runtime);
  const requests = createTokenRequests({ ...parts, issuer: createIssuer({ ...parts, proofs }) });
  const vault = createVault(storage, key);
  const access = createAccessKeeper({ runtime, closed, renew });
  const presence = createPresence(events, access.set);
  const name = `keyturn:${key}`;
  const tabs = storage.sharedByTabs
    ? joinTabs({ name, runtime, lockSeconds, hear: (message) => void hear(message).catch(() => {}) })
    : noTabs;
  const stopWatching = runtime.onWake("visibilitychange", () => void look().catch(() => {}));

  /** What is stored now, whoever stored it. */
  async function look(): Promise<StoredCredentials | undefined> {
    let record = await vault.read();
    if (record === undefined && presence.current() !== undefined && !presence.isEndExpected()) {
      // Another tab may have emptied the store; why, it tells a moment later.
      if (tabs !== noTabs) await runtime.sleep(newsMs);
      record = await vault.read();
    }
    presence.see(record && { user: record.user, sessionId: record.sessionId });
    return record;
  }

  async function hear({ type, sessionId, reason, access: reply }: TabMessage): Promise<void> {
    const sinceMs = runtime.now();
    if (type === "signedOut") presence.expectEnd(sessionId, isOver(reason) ? reason : "signed_out");
    // A tab that has not looked yet would take whoever arrives for somebody who was here all the time.
    if (type === "signedIn" && presence.current() === undefined) presence.see(undefined);
    const record = await look();
    if (record === undefined || reply === undefined || record.sessionId !== sessionId) return;
    const news = receive(reply, sinceMs, record);
    // It may have been on its way for long: tabs in the background are frozen.
    if (news.goodUntilMs <= (access.peek()?.goodUntilMs ?? 0)) return;
    access.set(news);
    if (type === "refreshed") events.emit("refreshed", { session: { user: record.user, sessionId } });
  }

  function receive(reply: AccessReply, sinceMs: number, { dpop }: StoredCredentials): Access {
    proofs?.learnTime(reply.accessToken);
    const received = createAccess(reply, sinceMs, runtime.random());
    return reply.tokenType === "DPoP" && dpop ? { ...received, binding: proofs?.bind(dpop) } : received;
  }

  /** One turn of what is stored. Undefined: others have changed that meanwhile, look again. */
  async function turn(record: StoredCredentials): Promise<Access | undefined> {
    const era = presence.era();
    const sinceMs = runtime.now();
    const { refreshToken, sessionId, user } = record;
    let reply: TokenReply;
    try {
      reply = await requests.refresh(record);
    } catch (error) {
      return await refused(error, record);
    }
    // Stored before anything of the reply is used. Where another tab was faster, what it wrote stays.
    const isStored = await vault.replace(refreshToken, { ...record, refreshToken: reply.refreshToken });
    if (!isStored && (await look())?.sessionId !== sessionId) return undefined;
    if (presence.era() !== era) return undefined;
    const fresh = receive(reply, sinceMs, record);
    access.set(fresh);
    tabs.tell({ type: "refreshed", sessionId, access: reply });
    events.emit("refreshed", { session: { user, sessionId } });
    return fresh;
  }

  async function refused(error: unknown, record: StoredCredentials): Promise<undefined> {
    if (!isRefusal(error)) throw error;
    const { reason } = error;
    const { refreshToken, sessionId } = record;
    if (isOver(reason)) {
      presence.expectEnd(sessionId, reason);
      // Only what was refused is forgotten: somebody may have signed in again meanwhile.
      if (await vault.replace(refreshToken, undefined)) tabs.tell({ type: "signedOut", sessionId, reason });
      return undefined;
    }
    // Another tab may have a newer one. If not, all is kept: the server may find its memory again.
    if ((await look())?.refreshToken === refreshToken) throw error;
    return undefined;
  }

  async function renew(): Promise<Access> {
    const before = access.peek();
    const stored = (await look())?.refreshToken;
    return tabs.alone(async () => {
      for (let looks = 0; looks < looksMax; looks++) {
        const record = await look();
        if (record === undefined) throw presence.signedOut();
        const isNews = record.refreshToken !== stored && access.peek() === before && tabs !== noTabs;
        if (isNews) await runtime.sleep(newsMs);
        const heard = access.peek();
        const isFresh = heard !== undefined && heard !== before && runtime.now() < heard.refreshAtMs;
        if (isFresh && heard.sessionId === record.sessionId) return heard;
        const fresh = await turn(record);
        if (fresh !== undefined) return fresh;
      }
      throw unreachable();
    });
  }

  /** Puts the record in the place of whatever is there, which it gives back. */
  async function place(record: StoredCredentials): Promise<StoredCredentials | undefined> {
    for (let looks = 0; looks < looksMax; looks++) {
      const old = await vault.read().catch(vault.last);
      if (await vault.replace(old?.refreshToken, record)) return old;
    }
    throw unreachable();
  }

  async function signIn(credentials: Credentials): Promise<Session> {
    // A storage that refuses to be used says so before a password is sent.
    await look().catch((error) => {
      if (!isTransient(error)) throw error;
    });
    const sinceMs = runtime.now();
    const { record, reply } = await requests.login(credentials);
    const { user, sessionId } = record;
    const session = { user, sessionId };
    const old = await place(record);
    tabs.tell({ type: "signedIn", sessionId, access: reply });
    presence.arrive(session, receive(reply, sinceMs, record));
    // Nobody holds that session any more; it need not stand in the list of devices.
    if (old !== undefined && old.sessionId !== sessionId) void requests.logout(old);
    return session;
  }

  async function signOut({ everywhere }: SignOutOptions): Promise<{ told: boolean }> {
    for (let looks = 0; looks < looksMax; looks++) {
      const record = await vault.read().catch(vault.last);
      presence.see(record && { user: record.user, sessionId: record.sessionId });
      if (record === undefined) return { told: false };
      const { sessionId, refreshToken } = record;
      presence.expectEnd(sessionId, "signed_out");
      if (!(await vault.replace(refreshToken, undefined))) continue;
      presence.see(undefined);
      tabs.tell({ type: "signedOut", sessionId, reason: "signed_out" });
      return { told: await requests.logout(record, everywhere) };
    }
    throw unreachable();
  }

  return {
    access,
    signIn,
    signOut,
    async session() {
      await look();
      return presence.current();
    },
    close() {
      stopWatching();
      tabs.close();
    },
  };
}
