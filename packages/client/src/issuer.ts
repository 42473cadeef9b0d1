import type { BindingKey } from "./keys.ts";
import { KeyturnError, notKeyturn, unavailable } from "./keyturn-error.ts";
import type { ModeParts } from "./mode.ts";
import type { Proofs } from "./proofs.ts";
import { isJson, type Json } from "./replies.ts";

/** Keyturn at its address, as the client's own requests see it. */
export interface Issuer {
  /**
   * The JSON of a good answer.
   *
   * @throws KeyturnError with the server's code; `unavailable` when no answer of Keyturn's came.
   */
  ask(request: IssuerRequest): Promise<Json>;
}

export interface IssuerRequest {
  readonly path: string;
  /** Sent by POST; without one it is a GET. */
  readonly json?: Json;
  readonly headers?: Readonly<Record<string, string>>;
  /** The key to prove, when the session is bound to one. */
  readonly key?: BindingKey | undefined;
  /** The browser sends it to its end even when the page goes away. */
  readonly keepalive?: boolean;
  readonly withinSeconds?: number;
}

export interface IssuerParts extends ModeParts {
  readonly proofs?: Proofs | undefined;
  readonly withCookies?: boolean;
}

const requestSeconds = 15;
const bytesMax = 65_536;
const messageCharactersMax = 300;
// The nonce of the first answer is taken by the second request; servers may change it at that very moment.
const noncesMax = 2;

async function readBounded({ body }: Response): Promise<string> {
  if (!body) return "";
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (let bytes = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > bytesMax) {
      reader.cancel().catch(() => {});
      throw new Error("The answer is too large");
    }
    text += decoder.decode(value, { stream: true });
  }
}

function parse(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJson(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The server's sentence, unless something in it looks like a token: an error goes to logs. */
function sentence({ error_description: text }: Json, fallback: string): string {
  const isSafe = typeof text === "string" && !/krt_|eyJ/.test(text);
  return isSafe ? text.slice(0, messageCharactersMax) : fallback;
}

function refusal({ status, headers }: Response, body: Json): KeyturnError {
  // RFC 9110 §10.2.3 has a date too; to understand it takes a clock that is right.
  const seconds = Number.parseInt(headers.get("retry-after") ?? "", 10);
  const { error, reason } = body;
  // What speaks in other words is a proxy, a portal, somebody else's error page.
  const code = typeof error === "string" && /^\w{1,64}$/.test(error) ? error : "unavailable";
  return new KeyturnError(code, sentence(body, `Keyturn answered ${status}`), {
    status,
    reason: typeof reason === "string" && /^\w{1,64}$/.test(reason) ? reason : undefined,
    retryAfterSeconds: seconds >= 0 ? seconds : undefined,
  });
}

export function createIssuer({ settings, runtime, closed, proofs, withCookies }: IssuerParts): Issuer {
  const { fetch, issuer: url } = settings;
  async function send(request: IssuerRequest, address: URL): Promise<{ response: Response; text: string }> {
    const { json, key, headers, keepalive = false, withinSeconds = requestSeconds } = request;
    const method = json === undefined ? "GET" : "POST";
    const proof = key && (await proofs?.bind(key).prove({ method, url: address }));
    const late = new AbortController();
    const answered = new AbortController();
    // Raced, for a `fetch` that does not look at its signal.
    const giveUp = runtime.sleep(withinSeconds * 1000, answered.signal, closed).then(() => {
      late.abort();
      throw new Error(`No answer within ${withinSeconds} seconds`);
    });
    giveUp.catch(() => {});
    async function exchange() {
      const response = await fetch(address.href, {
        method,
        headers: {
          accept: "application/json",
          ...(json && { "content-type": "application/json" }),
          ...(proof && { dpop: proof }),
          ...headers,
        },
        ...(json && { body: JSON.stringify(json) }),
        ...(withCookies && { credentials: "include" as const }),
        // A refresh token goes to this address and to no other.
        redirect: "manual",
        keepalive,
        signal: late.signal,
      });
      return { response, text: await readBounded(response) };
    }
    try {
      return await Promise.race([exchange(), giveUp]);
    } catch (cause) {
      throw unavailable("Keyturn cannot be reached", cause);
    } finally {
      answered.abort();
    }
  }

  return {
    async ask(request) {
      const address = new URL(url + request.path);
      for (let nonces = 0; ; nonces++) {
        const { response, text } = await send(request, address);
        const isNewNonce = proofs?.learnNonce(address.origin, response.headers);
        const body = parse(text);
        if (response.status === 204) return {};
        if (response.ok) {
          if (body !== undefined) return body;
          throw notKeyturn();
        }
        const error = refusal(response, body ?? {});
        // RFC 9449 §8: the server has told the nonce that it wants.
        if (request.key && isNewNonce && /dpop/.test(error.code) && nonces < noncesMax) continue;
        throw error;
      }
    },
  };
}
