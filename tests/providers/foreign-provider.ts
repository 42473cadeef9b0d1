import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair } from "jose";
import { Provider } from "oidc-provider";

/** Somebody at the foreign provider. */
export interface ForeignPerson {
  readonly sub: string;
  readonly email?: string;
  readonly email_verified?: boolean;
  readonly name?: string;
  readonly preferred_username?: string;
}

export const CLIENT = { id: "keyturn-at-foreign", secret: "foreign-client-secret-0123456789abcdef" };

/**
 * A port that listens before anybody knows what answers there.
 * @param hostname `localhost`: to a browser another site than 127.0.0.1
 */
export async function openPort(hostname: "127.0.0.1" | "localhost" = "127.0.0.1") {
  let listener: RequestListener = (_request, response) => void response.writeHead(503).end();
  const server = createServer((request, response) => listener(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    host: `${hostname}:${port}`,
    url: `http://${hostname}:${port}`,
    answerWith(next: RequestListener): void {
      listener = next;
    },
    /** Answers 503 from now on, until what it returns is called. */
    away(): () => void {
      const before = listener;
      listener = (_request, response) => void response.writeHead(503).end();
      return () => {
        listener = before;
      };
    },
    async close(): Promise<void> {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type Port = Awaited<ReturnType<typeof openPort>>;

/** oidc-provider, with people who sign in and agree as soon as they come. */
export async function startForeignProvider(port: Port, redirectUri: string) {
  const people = new Map<string, ForeignPerson>();
  const grants: string[] = [];
  let next = "nobody";
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  const jwk = { ...(await exportJWK(privateKey)), use: "sig", kid: "foreign-1", alg: "RS256" };
  const provider = new Provider(port.url, {
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        redirect_uris: [redirectUri],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
      },
    ],
    jwks: { keys: [jwk] },
    cookies: { keys: ["not a secret in a test"] },
    claims: {
      openid: ["sub"],
      email: ["email", "email_verified"],
      profile: ["name", "preferred_username"],
    },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    pkce: { required: () => true },
    // One that is used twice ends all that was granted with it.
    rotateRefreshToken: () => true,
    findAccount: async (_context, sub) => ({
      accountId: sub,
      claims: async () => ({ ...people.get(sub), sub }),
    }),
  });
  const callback = provider.callback();
  let renewals = 0;
  provider.on("grant.success", ({ oidc }) => {
    if (oidc.params?.grant_type === "refresh_token") renewals++;
  });

  async function interact(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { prompt, session, params, grantId } = await provider.interactionDetails(request, response);
    if (prompt.name === "login") {
      return provider.interactionFinished(request, response, { login: { accountId: next } });
    }
    const known = grantId === undefined ? undefined : await provider.Grant.find(grantId);
    const grant =
      known ??
      new provider.Grant({ accountId: session?.accountId ?? next, clientId: String(params.client_id) });
    grant.addOIDCScope(String(params.scope));
    const saved = await grant.save();
    grants.push(saved);
    return provider.interactionFinished(request, response, { consent: { grantId: saved } });
  }

  port.answerWith((request, response) => {
    if (!request.url?.startsWith("/interaction/")) return void callback(request, response);
    interact(request, response).catch(() => response.writeHead(500).end());
  });

  return {
    issuer: port.url,
    /** Who signs in there from now on. */
    isNow(person: ForeignPerson): void {
      people.set(person.sub, person);
      next = person.sub;
    },
    /** How often tokens were renewed there. */
    renewals: () => renewals,
    /** Takes back whatever was granted to anybody. */
    async forgetsGrants(): Promise<void> {
      for (const grant of grants.splice(0)) await (await provider.Grant.find(grant))?.destroy();
    },
    /** Goes the whole way there, in a browser of its own; where it leads back to. */
    async visit(url: string): Promise<URL> {
      const cookies = new Map<string, string>();
      let at = url;
      for (let steps = 0; steps < 12; steps++) {
        const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
        const reply = await fetch(at, { redirect: "manual", headers: { cookie } });
        await reply.text();
        for (const line of reply.headers.getSetCookie()) {
          const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
          cookies.set(name, value);
        }
        const to = reply.headers.get("location");
        if (to === null) throw new Error(`the foreign provider stopped with ${reply.status}`);
        at = new URL(to, at).href;
        if (!at.startsWith(port.url)) return new URL(at);
      }
      throw new Error("the foreign provider goes round in circles");
    },
  };
}
