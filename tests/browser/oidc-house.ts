import type { IncomingMessage, ServerResponse } from "node:http";
import type { TestContext } from "node:test";
import { createGuard } from "@keyturn/guard";
import { exportJWK, generateKeyPair } from "jose";
import { type Configuration, Provider } from "oidc-provider";
import { openPort, type Port } from "../providers/foreign-provider.ts";
import { closeAfter } from "./closing.ts";
import { appPath, byePath, callbackPath, openApplication, type PageOptions } from "./oidc-application.ts";

/** An application, and a provider that is another site to the browser and knows nothing of Keyturn. */

const clientId = "photos";

/** Made once: they take longer than most tests. */
let keys: ReturnType<typeof makeKeys> | undefined;

const makeKeys = () =>
  Promise.all(
    ["RS256", "ES256"].map(async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true });
      return { ...(await exportJWK(privateKey)), use: "sig", kid: alg, alg };
    }),
  );

interface ProviderOptions {
  /** Header of its pages: what cuts windows apart. */
  readonly coop?: string;
  readonly dpop?: boolean;
  readonly par?: boolean;
}

/** oidc-provider for a public client, with somebody who signs in and agrees at once. */
async function startPublicProvider(port: Port, appUrl: string, options: ProviderOptions = {}) {
  keys ??= makeKeys();
  const resource = `${appUrl}/`;
  const features: Configuration["features"] = {
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: options.par === true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        ...{ scope: "photos", audience: resource, accessTokenFormat: "jwt", accessTokenTTL: 60 },
        jwt: { sign: { alg: "ES256" } },
      }),
    },
    ...(options.dpop && {
      dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 7), requireNonce: () => true },
    }),
  };
  const provider = new Provider(port.url, {
    clients: [
      {
        client_id: clientId,
        token_endpoint_auth_method: "none",
        redirect_uris: [`${appUrl}${callbackPath}`],
        post_logout_redirect_uris: [`${appUrl}${byePath}`],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
      },
    ],
    jwks: { keys: await keys },
    cookies: { keys: ["not a secret in a test"] },
    claims: { openid: ["sub"], profile: ["name", "preferred_username"] },
    conformIdTokenClaims: false,
    features,
    clientBasedCORS: () => true,
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    findAccount: async (_context, sub) => ({
      accountId: sub,
      claims: async () => ({ sub, preferred_username: sub, name: `The ${sub}` }),
    }),
  });
  const callback = provider.callback();
  provider.on("grant.success", ({ oidc }) => {
    if (oidc.params?.grant_type === "refresh_token") state.refreshes++;
  });
  const counts = new Map<string, number>();
  const state = {
    issuer: port.url,
    resource,
    next: "nora",
    refuses: false,
    lostReplies: 0,
    refreshes: 0,
    provider,
  };

  async function interact(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { prompt, session, params, grantId } = await provider.interactionDetails(request, response);
    if (state.refuses) {
      const result = { error: "access_denied", error_description: "Not today." };
      return provider.interactionFinished(request, response, result);
    }
    if (prompt.name === "login") {
      return provider.interactionFinished(request, response, { login: { accountId: state.next } });
    }
    const known = grantId === undefined ? undefined : await provider.Grant.find(grantId);
    const grant = known ?? new provider.Grant({ accountId: session?.accountId ?? state.next, clientId });
    grant.addOIDCScope(String(params.scope));
    grant.addResourceScope(resource, "photos");
    return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
  }

  port.answerWith((request, response) => {
    const path = new URL(request.url ?? "", port.url).pathname;
    const key = `${request.method} ${path}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    if (options.coop) response.setHeader("Cross-Origin-Opener-Policy", options.coop);
    // The reply breaks off: what was done there is done.
    if (key === "POST /token" && state.lostReplies > 0) {
      response.write = () => true;
      response.end = () => {
        // One that only tells the nonce is not lost.
        state.lostReplies--;
        request.socket.destroy();
        return response;
      };
    }
    if (!path.startsWith("/interaction/")) return void callback(request, response);
    interact(request, response).catch(() => response.writeHead(500).end());
  });

  return Object.assign(state, {
    count: (method: string, path: string) => counts.get(`${method} ${path}`) ?? 0,
  });
}

/** All of it. */
export async function openOidcHouse(t: TestContext, options: ProviderOptions & Partial<PageOptions> = {}) {
  const port = await openPort("localhost");
  closeAfter(t, port.close);
  const { coop, dpop = false, par, ...more } = options;
  const provided = { ...(coop && { coop }), dpop, ...(par && { par }) };
  let resource = "";
  const app = await openApplication(t, () => ({
    ...{ issuer: port.url, clientId, resource, scope: "openid profile offline_access photos", ...more },
  }));
  const provider = await startPublicProvider(port, app.url, provided);
  resource = provider.resource;
  const guard = createGuard({ issuer: port.url, audience: resource });
  closeAfter(t, async () => guard.close());
  app.serve(guard);
  return { app, provider, url: `${app.url}${appPath}`, origin: app.url };
}
