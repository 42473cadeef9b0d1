import { isIP } from "node:net";
import { limits } from "../primitives/limits.ts";
import type { Session, SessionKind } from "../sessions/session.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { StartOptions } from "../sessions/starting.ts";
import { cleanText } from "./names.ts";
import type { User } from "./user.ts";

/** By which door somebody comes, and from where. */
export interface Arrival {
  readonly clientId: string;
  /** Default: app. */
  readonly kind?: SessionKind | undefined;
  /** The session that the same browser had: it ends when the new one starts. */
  readonly replaces?: Session | undefined;
  /** RFC 7638: the key that the session's refresh token is bound to. */
  readonly keyThumbprint?: string | undefined;
  /** Where the request comes from. Without it the limits by address cannot hold. */
  readonly ip?: string | undefined;
  readonly userAgent?: string | undefined;
  /** What the person or the app calls the device. */
  readonly device?: string | undefined;
}

/** Somebody who has proven who they are is signed in. */
export interface Arrived {
  readonly outcome: "signed_in";
  readonly user: User;
  readonly session: Session;
  /** The first refresh token, or the value of the cookie. */
  readonly credential: string;
}

export type Arrivals = ReturnType<typeof createArrivals>;

/** The end of every way to sign in: whoever has been proven to be somebody gets a session. */
export function createArrivals({ sessions }: { readonly sessions: Pick<Sessions, "start"> }) {
  return {
    /**
     * Starts the session.
     * @param amr how the person proved who they are, RFC 8176
     * @param options `also`: what belongs to the proof, in the same transaction; `onlyIf`: what must still be true of it
     * @returns undefined when the user has been disabled or removed meanwhile, or the proof no longer holds
     */
    async arrive(
      user: User,
      { amr, ...arrival }: Arrival & { readonly amr: readonly string[] },
      options: Pick<StartOptions, "also" | "onlyIf"> = {},
    ): Promise<Arrived | undefined> {
      const { clientId, kind = "app", replaces, keyThumbprint, ip } = arrival;
      const session = {
        userId: user.id,
        clientId,
        kind,
        scope: "",
        amr,
        device: cleanText(arrival.device, limits.deviceCharactersMax),
        ip: ip !== undefined && isIP(ip) !== 0 ? ip : undefined,
        userAgent: cleanText(arrival.userAgent, limits.userAgentCharactersMax),
        keyThumbprint,
      };
      const started = await sessions.start(session, { ...options, replaces });
      return started && { outcome: "signed_in", user, ...started };
    },
  };
}
