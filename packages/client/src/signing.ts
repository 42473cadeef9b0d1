import type { StoredCredentials } from "./credential-storage.ts";
import type { Door } from "./door.ts";
import type { Ways } from "./how.ts";
import type { ModeParts } from "./mode.ts";
import type { AccessReply, Json } from "./replies.ts";
import { readSession } from "./session.ts";
import { makeKeys, type SessionKeys } from "./session-keys.ts";
import type { Tabs } from "./tabs.ts";
import type { Vault } from "./vault.ts";
import { createWays } from "./ways.ts";

/** Signing in and out in token mode. Loaded when somebody does: a page sees it once in many visits. */
export interface Signing extends Ways {
  /** Keys of a session that is to be. */
  newKeys(): Promise<SessionKeys>;
  /** Somebody has arrived, in place of whoever was here. */
  settle(record: StoredCredentials, access: AccessReply, sinceMs: number): Promise<void>;
  /** Ends the session; whether the server knows that it is over. */
  tellServer(record: StoredCredentials, everywhere?: boolean): Promise<boolean>;
}

export interface SigningParts extends ModeParts {
  readonly tabs: Tabs;
  readonly vault: Vault;
  look(): Promise<unknown>;
}

/** How often a change by others is followed. */
const looksMax = 10;
const logoutTriesMax = 3;
const logoutPauseMs = 1000;

export function createSigning(parts: SigningParts): Signing {
  const { settings, runtime, closed, issuer, presence, tabs, vault, tools } = parts;
  const [isOver, isRefusal, isTransient, , , readTokens, unreachable] = tools;
  const { subtle } = runtime;

  async function newKeys(): Promise<SessionKeys> {
    const maker = subtle && { subtle, extractable: !settings.storage.keepsKeys };
    return maker ? makeKeys(maker, settings.dpop ?? true) : {};
  }

  async function login(path: string, json: Json, keys: SessionKeys) {
    const { deviceKey, dpop } = keys;
    let refused: Json | undefined;
    const request = { path, json, key: dpop, refused: (body: Json | undefined) => (refused = body) };
    const reply = issuer.ask(request, (body) => {
      const reply = readTokens(body);
      const session = readSession(body);
      if (reply === undefined || session === undefined) return undefined;
      const record = {
        ...session,
        refreshToken: reply.refreshToken,
        ...(deviceKey && { deviceKey }),
        // "Bearer" speaks of the access token only: the refresh token of a session that began with a proof is bound.
        ...(dpop && { dpop }),
      };
      return { record, session, access: reply.access, body };
    });
    return reply.catch(async (error) => {
      if (refused?.ticket)
        (await import("./second-step.ts")).addSecondStep(error, { door, body: refused, keys });
      throw error;
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

  async function settle(record: StoredCredentials, access: AccessReply, sinceMs: number): Promise<void> {
    const { sessionId, user, dpop } = record;
    const old = await place(record);
    tabs.tell({ type: "signedIn", sessionId, access });
    presence.arrive({ user, sessionId }, parts.access.read(access, sinceMs, dpop));
    // Nobody holds that session any more; it need not stand in the list of devices.
    if (old !== undefined && old.sessionId !== sessionId) void tellServer(old);
  }

  async function tellServer(record: StoredCredentials, everywhere = false): Promise<boolean> {
    let { refreshToken } = record;
    let isOld = false;
    for (let tries = 1; ; tries++) {
      try {
        if (isOld) ({ refreshToken } = await issuer.refresh(record));
        const json = { refreshToken, ...(everywhere && { everywhere }) };
        return await issuer.ask({ path: "/logout", json, init: { keepalive: true } }, () => true);
      } catch (error) {
        const reason = isRefusal(error) ? error.reason : undefined;
        if (isOver(reason)) return true;
        // The reply to the last turn was lost, or is under way: only a living token ends the other sessions.
        isOld = reason === "superseded";
        if (tries === logoutTriesMax || !(isOld || isTransient(error))) return false;
        if (!isOld) await runtime.sleep(logoutPauseMs, closed);
      }
    }
  }

  const door: Door = {
    parts,
    leaving: "code",
    newKeys,
    ask: (path, json, read) => issuer.ask({ path, ...(json ? { json } : { init: { method: "GET" } }) }, read),
    async enter(path, json, given) {
      // A storage that refuses to be used says so before a password is sent.
      await parts.look().catch((error) => {
        if (!isTransient(error)) throw error;
      });
      const sinceMs = runtime.now();
      const keys = given ?? (await newKeys());
      const { record, session, access, body } = await login(path, json, keys);
      await settle(record, access, sinceMs);
      return { session, body };
    },
    async proven(reply, sinceMs) {
      const key = parts.access.peek()?.key;
      presence.refresh(parts.access.read(reply, sinceMs, key));
      tabs.tell({ type: "refreshed", sessionId: reply.sessionId, access: reply });
    },
  };

  return { ...createWays(door), newKeys, settle, tellServer };
}
