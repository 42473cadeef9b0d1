import type { Access } from "./access.ts";
import { KeyturnError } from "./keyturn-error.ts";
import type { Mode } from "./mode.ts";
import type { Fetch } from "./runtime.ts";

export interface ApiFetchParts {
  readonly fetch: Fetch;
  readonly access: Mode["access"];
  /** Where the token may go. */
  readonly origins: ReadonlySet<string>;
  /** What relative addresses are relative to. */
  readonly base: string | undefined;
}

type Input = Parameters<Fetch>[0];
type Init = NonNullable<Parameters<Fetch>[1]>;

const isRequest = (input: Input): input is Request => typeof input === "object" && "headers" in input;

/** A stream is gone once it was sent; everything else can be sent again. */
const isStream = (body: unknown) =>
  typeof body === "object" && body !== null && ("getReader" in body || Symbol.asyncIterator in body);

/** As Fetch does: these names are written in capitals, others are left as they are. */
const methodName = (name: string) =>
  /^(?:delete|get|head|options|post|put)$/i.test(name) ? name.toUpperCase() : name;

function parseUrl(text: string, base: string | undefined): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    // For `fetch` to complain of.
    return undefined;
  }
}

/** Undefined when nobody is signed in. */
async function unlessSignedOut<T>(getting: Promise<T>): Promise<T | undefined> {
  try {
    return await getting;
  } catch (error) {
    if (error instanceof KeyturnError && error.code === "signed_out") return undefined;
    throw error;
  }
}

function discard(response: Response): void {
  response.body?.cancel().catch(() => {});
}

/** `fetch` that knows the token. */
export function createApiFetch({ fetch, access, origins, base }: ApiFetchParts): Fetch {
  return async (input: Input, init: Init = {}): Promise<Response> => {
    const request = isRequest(input) ? input : undefined;
    const url = parseUrl(request?.url ?? String(input), base);
    const headers = new Headers(init.headers ?? request?.headers);
    // Whoever has set the header means it.
    if (url === undefined || !origins.has(url.origin) || headers.has("authorization")) {
      return fetch(input, init);
    }
    const method = methodName(init.method ?? request?.method ?? "GET");
    const signal = init.signal ?? request?.signal;
    const canRepeat = !isStream(init.body);

    async function sendOnce({ token, binding }: Access, to: URL): Promise<Response> {
      const own = new Headers(headers);
      own.set("authorization", `${binding ? "DPoP" : "Bearer"} ${token}`);
      if (binding) own.set("dpop", await binding.prove({ method, url: to, accessToken: token }));
      // A copy of a Request is sent, so that its body is still there for another time.
      return fetch(request?.clone() ?? input, { ...init, headers: own });
    }

    async function send(given: Access, to: URL): Promise<Response> {
      const response = await sendOnce(given, to);
      const isNewNonce = given.binding?.learnNonce(to.origin, response.headers);
      // RFC 9449 §9: the API has told the nonce that it wants.
      const wantsNonce = /use_dpop_nonce/.test(response.headers.get("www-authenticate") ?? "");
      if (response.status !== 401 || !isNewNonce || !wantsNonce || !canRepeat) return response;
      discard(response);
      return sendOnce(given, to);
    }

    const given = await unlessSignedOut(access.get(signal));
    if (given === undefined) return fetch(input, init);
    const response = await send(given, url);
    if (response.status !== 401) return response;
    const getting = access.getOther(given, signal);
    if (!canRepeat) {
      getting.catch(() => {});
      return response;
    }
    const other = await unlessSignedOut(getting);
    if (other === undefined) return response;
    discard(response);
    return send(other, url);
  };
}
