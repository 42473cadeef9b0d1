import type { StoredCredentials } from "./credential-storage.ts";
import type { Issuer } from "./issuer.ts";
import { sign } from "./keys.ts";
import { isTransient, notKeyturn } from "./keyturn-error.ts";
import type { Credentials, ModeParts } from "./mode.ts";
import { isOver, isRefusal } from "./presence.ts";
import { readSession, readTokens, type TokenReply } from "./replies.ts";
import { makeKeys, type SessionKeys } from "./session-keys.ts";

/** The three requests of token mode. They know nothing of tabs, stored records and events. */
export interface TokenRequests {
  /**
   * A new session, with the keys that were made for it.
   *
   * @throws KeyturnError as `Issuer.ask`.
   */
  login(
    credentials: Credentials,
  ): Promise<{ readonly record: StoredCredentials; readonly reply: TokenReply }>;
  /**
   * Presents the refresh token. However often the same one is presented, the successor is the same.
   *
   * @throws KeyturnError as `Issuer.ask`; `invalid_refresh_token` with its reason.
   */
  refresh(record: StoredCredentials): Promise<TokenReply>;
  /** Ends the session; whether the server knows that it is over. */
  logout(record: StoredCredentials, everywhere?: boolean): Promise<boolean>;
}

const logoutTriesMax = 3;
const logoutSeconds = 5;
const logoutPauseMs = 1000;

export interface RequestParts extends ModeParts {
  readonly issuer: Issuer;
}

export function createTokenRequests({ settings, runtime, issuer, closed }: RequestParts): TokenRequests {
  const { subtle, sleep } = runtime;

  async function login({ username, password, device = settings.device }: Credentials) {
    const maker = subtle && { subtle, extractable: !settings.storage.keepsKeys };
    const { deviceKey, dpop }: SessionKeys = maker ? await makeKeys(maker, settings.dpop) : {};
    const json = { username, password, ...(device !== undefined && { device }) };
    const body = await issuer.ask({ path: "/login", json, key: dpop });
    const reply = readTokens(body);
    const session = readSession(body);
    if (reply === undefined || session === undefined) throw notKeyturn();
    const record = {
      ...session,
      refreshToken: reply.refreshToken,
      ...(deviceKey && { deviceKey }),
      // "Bearer" speaks of the access token only: the refresh token of a session that began with a proof is bound.
      ...(dpop && { dpop }),
    };
    return { record, reply };
  }

  async function refresh({
    refreshToken,
    sessionId,
    deviceKey,
    dpop,
  }: StoredCredentials): Promise<TokenReply> {
    const attempt = subtle && deviceKey && (await sign(subtle, deviceKey, refreshToken));
    const reply = readTokens(
      await issuer.ask({
        path: "/refresh",
        json: { refreshToken },
        ...(attempt && { headers: { "idempotency-key": attempt } }),
        key: dpop,
      }),
    );
    if (reply?.sessionId !== sessionId) throw notKeyturn();
    return reply;
  }

  async function logout(record: StoredCredentials, everywhere = false): Promise<boolean> {
    let { refreshToken } = record;
    let isOld = false;
    for (let tries = 1; ; tries++) {
      try {
        if (isOld) ({ refreshToken } = await refresh(record));
        const json = { refreshToken, ...(everywhere && { everywhere }) };
        await issuer.ask({ path: "/logout", json, keepalive: true, withinSeconds: logoutSeconds });
        return true;
      } catch (error) {
        const reason = isRefusal(error) ? error.reason : undefined;
        if (isOver(reason)) return true;
        // The reply to the last turn was lost, or is under way: only a living token ends the other sessions.
        isOld = reason === "superseded";
        if (tries === logoutTriesMax || !(isOld || isTransient(error))) return false;
        if (!isOld) await sleep(logoutPauseMs, closed);
      }
    }
  }

  return { login, refresh, logout };
}
