import type { Door } from "./door.ts";
import type { AddedPasskey, NewConnection, Provider, ProviderSignIn } from "./how.ts";
import type { Json } from "./replies.ts";
import type { Session } from "./session.ts";

interface Page {
  readonly location?: { readonly href: string; assign(url: string): void };
  readonly history?: {
    readonly state: unknown;
    replaceState(state: unknown, title: string, url: string): void;
  };
}

const page = globalThis as unknown as Page;
/** The page is on its way to another: nothing comes after this. */
const never = new Promise<never>(() => {});
/** What the server leads on to; of a longer address it would forget where it led from. */
const backCharactersMax = 2000;
const none = { id: "", username: "", roles: [] };

/** RFC 7515 §2 */
function base64url(bytes: ArrayBuffer | Uint8Array): string {
  const text = btoa(String.fromCharCode(...new Uint8Array(bytes)));
  return text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

export function createProviderWays({ parts, ask, enter, leaving, newKeys }: Door) {
  const { settings, runtime, access, presence, tools } = parts;
  const KeyturnError = tools[7];
  const { issuer, storage } = settings;
  // What is under way is kept where sessions are, and as they are: the newest of a browser, keys and all.
  const place = `${issuer}#sign-in`;
  const base = new URL(issuer).pathname.replace(/\/$/, "");

  const digest = async (text: string) =>
    base64url(
      await (runtime.subtle as NonNullable<typeof runtime.subtle>).digest(
        "SHA-256",
        new TextEncoder().encode(text),
      ),
    );

  function away(path: string, returnTo: string | undefined, more: Readonly<Record<string, string>> = {}) {
    const { location } = page;
    if (!location) throw new KeyturnError("not_supported", "Only a page can be led to a provider");
    const to = new URL(returnTo ?? location.href, location.href).href;
    const back = `${base}/sign-in/return?${new URLSearchParams({ to, ...more })}`;
    if (back.length > backCharactersMax) {
      throw new KeyturnError("invalid_request", "The address to come back to is too long");
    }
    location.assign(`${issuer}${path}${path.includes("?") ? "&" : "?"}return_to=${encodeURIComponent(back)}`);
    return never;
  }

  async function begin(): Promise<Record<string, string>> {
    if (!runtime.subtle) throw new KeyturnError("not_supported", "That takes a page that came by https");
    const keys = await newKeys();
    const [verifier, state] = [random(), random()];
    const before = await storage.read(place);
    await storage.replace(place, before?.refreshToken, {
      ...{ refreshToken: verifier, sessionId: state, user: none },
      ...keys,
    });
    const challenge = await digest(verifier);
    if (!keys.dpop) return { state, challenge };
    const { crv, kty, x, y } = keys.dpop.publicKey;
    // RFC 7638 §3: these members, in this order.
    return { state, challenge, key: await digest(JSON.stringify({ crv, kty, x, y })) };
  }

  async function take(code: string, state: string | null): Promise<Session> {
    const kept = await storage.read(place);
    // Nobody else's answer, and none twice: of two tabs one takes what was kept.
    const isOurs = kept !== undefined && kept.sessionId === state;
    if (!isOurs || !(await storage.replace(place, kept.refreshToken, undefined))) {
      throw new KeyturnError("invalid_handover", "This way back from signing in was not begun here");
    }
    const { refreshToken: verifier, deviceKey, dpop } = kept;
    const device = settings.device;
    const json: Json = { code, verifier, ...(device !== undefined && { device }) };
    const keys = { ...(deviceKey && { deviceKey }), ...(dpop && { dpop }) };
    return (await enter("/login/handover", json, keys)).session;
  }

  return {
    async leave({ provider, returnTo }: ProviderSignIn): Promise<never> {
      const more = leaving === "code" ? await begin() : {};
      return away(`/sign-in/with/${encodeURIComponent(provider)}`, returnTo, more);
    },

    async finish(address: string | undefined): Promise<Session | undefined> {
      const { location, history } = page;
      const url = new URL(address ?? location?.href ?? issuer);
      const code = url.searchParams.get("keyturn_code");
      const state = url.searchParams.get("keyturn_state");
      if (leaving === "cookie") {
        await access.get().catch((error) => {
          if (error.code !== "signed_out") throw error;
        });
        return presence.current();
      }
      if (code === null) return undefined;
      for (const name of ["keyturn_code", "keyturn_state"]) url.searchParams.delete(name);
      // Out of the address before anything else: it must not be kept, sent on or asked for again.
      if (address === undefined) history?.replaceState(history.state, "", url.href);
      return take(code, state);
    },

    async connect({ provider, returnTo }: NewConnection): Promise<AddedPasskey> {
      return away(`/account/connections/add?provider=${encodeURIComponent(provider)}`, returnTo);
    },

    list: (): Promise<readonly Provider[]> =>
      ask("/providers", undefined, ({ providers }) =>
        Array.isArray(providers) ? providers.filter(isProvider) : undefined,
      ),
  };
}

const isProvider = (one: unknown): one is Provider =>
  typeof (one as Provider | null)?.id === "string" && typeof (one as Provider).label === "string";
