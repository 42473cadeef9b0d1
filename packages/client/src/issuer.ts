import type { StoredCredentials } from "./credential-storage.ts";
import type { BindingKey } from "./keys.ts";
import { KeyturnError, unavailable, unreachable } from "./keyturn-error.ts";
import { isJson, type Json, readTokens, type TokenReply } from "./replies.ts";
import { within } from "./within.ts";
import type { World } from "./world.ts";

/** Keyturn at its address, as the client's own requests see it. */
export interface Issuer {
  /**
   * What is read in the JSON of a good answer. `read` gives undefined for what is none of Keyturn's.
   *
   * @throws KeyturnError with the server's code; `unavailable` when no answer of Keyturn's came.
   */
  ask<T>(request: IssuerRequest, read: (body: Json) => T | undefined): Promise<T>;
  /** Presents the refresh token. However often the same one is presented, the successor is the same. */
  refresh(record: StoredCredentials): Promise<TokenReply>;
}

/** JSON that is sent by POST, unless `init` says otherwise. */
export interface IssuerRequest {
  readonly path: string;
  readonly json?: Json;
  /** The same for every try to do the same. */
  readonly attempt?: string | undefined;
  /** The key to prove, when the session is bound to one. */
  readonly key?: BindingKey | undefined;
  /** Told of what a refusal says besides its code, which is in no error: it may be a secret. */
  readonly refused?: (body: Json | undefined) => void;
  /** With `keepalive` the browser sends it to its end even when the page goes away; that is not waited for long. */
  readonly init?: RequestInit;
}

const patienceMs = 15_000;
const partingMs = 5000;
const charactersMax = 65_536;
const messageCharactersMax = 300;
// The nonce of the first answer is taken by the second request; servers may change it at that very moment.
const noncesMax = 2;

/** Undefined when it is no JSON object, or too large for one of Keyturn's. */
async function readJson({ body }: Response): Promise<Json | undefined> {
  const reader = body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (text.length < charactersMax) {
    const part = await reader?.read();
    if (part?.value) text += decoder.decode(part.value, { stream: true });
    else return parse(text);
  }
  return undefined;
}

function parse(text: string): Json | undefined {
  try {
    // A 204 has none, and RFC 7009 §2.2 asks for none.
    const value: unknown = JSON.parse(text || "{}");
    return isJson(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined for anything that is not one word: what is in it might be a token, and an error goes to logs. */
const word = (value: unknown) => (typeof value === "string" && /^\w{1,64}$/.test(value) ? value : undefined);

function refusal({ status, headers }: Response, body: Json): KeyturnError {
  const { error, error_description: text, reason } = body;
  // RFC 9110 §10.2.3 has a date too; to understand it takes a clock that is right.
  const seconds = Number.parseInt(headers.get("retry-after") ?? "", 10);
  // The server's sentence, unless something in it looks like a token.
  const isSafe = typeof text === "string" && !/k[rt]t_|eyJ/.test(text);
  const message = isSafe ? text.slice(0, messageCharactersMax) : `The server answered ${status}`;
  // What speaks in other words is a proxy, a portal, somebody else's error page.
  return new KeyturnError(word(error) ?? "unavailable", message, {
    status,
    reason: word(reason),
    retryAfterSeconds: seconds >= 0 ? seconds : undefined,
  });
}

export function createIssuer({ settings, runtime, closed, proofs }: World): Issuer {
  async function ask<T>(request: IssuerRequest, read: (body: Json) => T | undefined, nonces = 0): Promise<T> {
    const { path, json, key, attempt, init } = request;
    const url = new URL(settings.issuer + path);
    const proof = key && (await proofs.prove({ key, method: "POST", url }));
    // Raced, for a `fetch` that does not look at its signal.
    const answer = await within(
      (over) => runtime.sleep(init?.keepalive ? partingMs : patienceMs, over, closed),
      async (signal) => {
        const response = await settings.fetch(url.href, {
          method: "POST",
          headers: {
            ...(json && { "content-type": "application/json" }),
            ...(proof && { dpop: proof }),
            ...(attempt && { "idempotency-key": attempt }),
          },
          body: JSON.stringify(json),
          // A refresh token goes to this address and to no other.
          redirect: "manual",
          signal,
          ...init,
        });
        return { response, body: await readJson(response) };
      },
    ).catch((cause) => {
      throw unreachable(cause);
    });
    if (!answer) throw unreachable();
    const { response, body } = answer;
    const isNewNonce = proofs.learnNonce(url.origin, response.headers);
    if (response.ok) {
      const good = body && read(body);
      if (good) return good;
      // A portal, a proxy, another server has spoken.
      throw unavailable("The answer cannot be read");
    }
    request.refused?.(body);
    const error = refusal(response, body ?? {});
    // RFC 9449 §8: the server has told the nonce that it wants.
    if (isNewNonce && /dpop/.test(error.code) && nonces < noncesMax) return ask(request, read, nonces + 1);
    throw error;
  }

  return {
    ask,
    async refresh({ refreshToken, sessionId, deviceKey, dpop }) {
      const attempt = deviceKey && (await proofs.sign(deviceKey, refreshToken));
      return ask({ path: "/refresh", json: { refreshToken }, attempt, key: dpop }, (body) => {
        const reply = readTokens(body);
        return reply?.access.sessionId === sessionId ? reply : undefined;
      });
    },
  };
}
