import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { memoryStorage } from "./memory-storage.ts";
import { createOidcClientWith } from "./oidc-client.ts";
// Loaded before, so that no test waits for it.
import "./oidc-popup.ts";
import "./oidc-signing.ts";
import type { OidcClientOptions } from "./oidc-options.ts";
import type { Runtime } from "./runtime.ts";
import type { TestRequest } from "./test-issuer.ts";
import { apiUrl } from "./test-issuer.ts";
import { createWorld, noteEvents } from "./test-world.ts";

/** Another provider than Keyturn, as it is common: it forgives no refresh token that is used twice. */

export const providerUrl = "https://login.example.org";
export const callbackUrl = "https://app.example.com/callback";
const clientId = "app";

type Claims = Record<string, unknown>;

const b64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const digest = (text: string) => createHash("sha256").update(text).digest();
const json = (body: unknown, status = 200) => Response.json(body, { status });

function createTestProvider(nowMs: () => number) {
  const codes = new Map<string, { asked: URLSearchParams; isUsed: boolean }>();
  const requests: TestRequest[] = [];
  let newest = 0;
  let minted = 0;
  const state = {
    requests,
    /** Set: discovery says this besides. */
    metadata: {} as Claims,
    /** What ID tokens say besides. */
    claims: {} as Claims,
    header: { alg: "RS256" } as Claims,
    /** What token replies say besides. */
    reply: {} as Claims,
    rotates: true,
    refreshes: true,
    prefix: "rt-",
    isOver: false,
    pushed: new Map<string, URLSearchParams>(),
    count: (path: string) => requests.filter(({ url }) => url.pathname === path).length,
    forms: (path: string) =>
      requests.filter(({ url }) => url.pathname === path).map(({ text }) => new URLSearchParams(text)),
    /** The provider's page: where it leads back to. */
    agree(address: string, more: Record<string, string> = {}): string {
      const url = new URL(address);
      const asked = state.pushed.get(url.searchParams.get("request_uri") ?? "") ?? url.searchParams;
      const code = `code-${codes.size}`;
      codes.set(code, { asked, isUsed: false });
      const back = new URL(asked.get("redirect_uri") ?? "");
      for (const [name, value] of Object.entries({ code, state: asked.get("state") ?? "", ...more })) {
        back.searchParams.set(name, value);
      }
      return back.href;
    },
    handle,
  };

  function tokens(asked: URLSearchParams | undefined) {
    const iat = Math.floor(nowMs() / 1000);
    const accessToken = `${b64({ typ: "at+jwt" })}.${b64({ iat, exp: iat + 600, n: minted++ })}.sig`;
    const half = digest(accessToken).subarray(0, 16).toString("base64url");
    const who = { sub: "u1", preferred_username: "alice", email: "alice@example.org", email_verified: true };
    const claims = {
      ...{ iss: providerUrl, aud: clientId, iat, exp: iat + 300, at_hash: half, ...who },
      ...{ nonce: asked?.get("nonce") ?? undefined, ...state.claims },
    };
    return json({
      access_token: accessToken,
      token_type: "bearer",
      expires_in: 600,
      ...(asked && { id_token: `${b64(state.header)}.${b64(claims)}.sig` }),
      ...(state.refreshes && { refresh_token: `${state.prefix}${newest}` }),
      ...state.reply,
    });
  }

  function token(form: URLSearchParams): Response {
    const invalid = () => json({ error: "invalid_grant", error_description: "No." }, 400);
    if (form.get("grant_type") === "refresh_token") {
      const isNewest = form.get("refresh_token") === `${state.prefix}${newest}`;
      // Used twice: whoever has it, all is over.
      if (!isNewest || state.isOver) {
        state.isOver = true;
        return invalid();
      }
      if (state.rotates) newest++;
      return tokens(undefined);
    }
    const found = codes.get(form.get("code") ?? "");
    const challenge = digest(form.get("code_verifier") ?? "").toString("base64url");
    const isRight =
      found &&
      !found.isUsed &&
      found.asked.get("code_challenge") === challenge &&
      found.asked.get("redirect_uri") === form.get("redirect_uri");
    if (!isRight) return invalid();
    found.isUsed = true;
    return tokens(found.asked);
  }

  async function handle(request: TestRequest): Promise<Response> {
    requests.push(request);
    const { url, text, headers } = request;
    const form = new URLSearchParams(text);
    if (url.origin === apiUrl) return headers.has("authorization") ? json({}) : json({}, 401);
    switch (url.pathname) {
      case "/.well-known/openid-configuration":
        return json({
          issuer: providerUrl,
          authorization_endpoint: `${providerUrl}/authorize?tenant=7`,
          token_endpoint: `${providerUrl}/token`,
          revocation_endpoint: `${providerUrl}/revoke`,
          end_session_endpoint: `${providerUrl}/logout`,
          ...state.metadata,
        });
      case "/token":
        return token(form);
      case "/par": {
        const uri = `urn:request:${state.pushed.size}`;
        state.pushed.set(uri, form);
        return json({ request_uri: uri, expires_in: 60 }, 201);
      }
      case "/revoke":
        state.isOver = true;
        return new Response("", { status: 200 });
      default:
        return new Response("Not found", { status: 404 });
    }
  }

  return state;
}

/** A world whose far side is such a provider, and the page of the application. */
export function createProviderWorld() {
  const world = createWorld();
  const provider = createTestProvider(() => 1_800_000_000_000 + world.timeline.now());
  world.network = (request) => provider.handle(request);

  function openTab(options: Partial<OidcClientOptions> = {}, internals: Partial<Runtime> = {}) {
    const client = createOidcClientWith(
      {
        ...{ issuer: providerUrl, clientId, redirectUri: callbackUrl, apis: [apiUrl] },
        ...{ storage: memoryStorage(), fetch: world.fetch, ...options },
      },
      { ...world.runtime, pageOrigin: "https://app.example.com", ...internals },
    );
    return { client, events: noteEvents(client) };
  }

  return { ...world, world, provider, openTab };
}

export type ProviderWorld = ReturnType<typeof createProviderWorld>;
export type OidcTab = ReturnType<ProviderWorld["openTab"]>;

/** What a page has: an address that can be left and changed. */
export function setPage() {
  const page = globalThis as unknown as Record<string, unknown>;
  const seen = { left: [] as string[], shown: [] as string[], href: "https://app.example.com/start" };
  page.location = {
    get href() {
      return seen.href;
    },
    assign: (url: string) => void seen.left.push(url),
  };
  page.history = {
    state: null,
    replaceState(_state: unknown, _title: string, url: string) {
      seen.href = url;
      seen.shown.push(url);
    },
  };
  return {
    ...{ seen },
    remove() {
      delete page.location;
      delete page.history;
    },
  };
}

export type TestPage = ReturnType<typeof setPage>;

/** Leaves for the provider; the address that was left for. */
export async function leave(
  { timeline }: ProviderWorld,
  { client }: OidcTab,
  given: { page: TestPage; how?: Parameters<OidcTab["client"]["signIn"]>[0] },
): Promise<string> {
  const { seen } = given.page;
  const before = seen.left.length;
  client.signIn(given.how).catch(() => {});
  await timeline.settle();
  const left = seen.left[before];
  if (left === undefined) throw new Error("The page was not left");
  return left;
}

/** The whole way. */
export async function signInBy(world: ProviderWorld, tab: OidcTab, page: TestPage) {
  const address = await leave(world, tab, { page });
  page.seen.href = world.provider.agree(address);
  return world.timeline.run(tab.client.finishSignIn());
}
