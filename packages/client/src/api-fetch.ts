import type { Access } from "./access.ts";
import type { ModeParts } from "./mode.ts";
import { parseUrl } from "./options.ts";
import type { Fetch } from "./runtime.ts";

type Input = Parameters<Fetch>[0];
type Init = NonNullable<Parameters<Fetch>[1]>;

// With three tokens, each for a nonce too: a tab that wakes hears of all the turns that it has slept through, and while
// it tries what it has heard of, it hears of another one that is over.
const triesMax = 6;

/** Undefined when nobody is signed in. */
function ifSignedOut(error: unknown): undefined {
  if ((error as { code?: unknown } | undefined)?.code !== "signed_out") throw error;
}

/** `fetch` that knows the token. */
export function createApiFetch({ settings, runtime, proofs, access }: ModeParts): Fetch {
  const { fetch, origins } = settings;
  return async (input: Input, init: Init = {}): Promise<Response> => {
    // By what a Request alone has, also one of another realm.
    const request = (input as Partial<Request> | undefined)?.headers && (input as Request);
    // What is no address is for `fetch` to complain of.
    const url = parseUrl(request?.url ?? String(input), runtime.pageUrl);
    const headers = new Headers(init.headers ?? request?.headers);
    // Whoever has set the header means it.
    if (!url || !origins.has(url.origin) || headers.has("authorization")) {
      return fetch(input, init);
    }
    // A Request writes the names of methods as they are sent: some in capitals, others as they are.
    const { method } = new Request(url, { method: init.method ?? request?.method ?? "GET" });
    const signal = init.signal ?? request?.signal;
    // A stream is gone once it was sent; Fetch has callers say by `duplex` that the body is one.
    const canRepeat = !("duplex" in init);

    let given = await access.get(signal).catch(ifSignedOut);
    if (!given) return fetch(input, init);
    let triedAgain: Access | undefined;
    for (let tries = 1; ; tries++) {
      const { token, key } = given;
      const own = new Headers(headers);
      own.set("authorization", `${key ? "DPoP" : "Bearer"} ${token}`);
      if (key) own.set("dpop", await proofs.prove({ key, method, url, accessToken: token }));
      // A copy of a Request is sent, so that its body is still there for another time.
      const response = await fetch(request?.clone() ?? input, { ...init, headers: own });
      const isNewNonce = proofs.learnNonce(url.origin, response.headers);
      if (response.status !== 401 || tries === triesMax) return response;
      // RFC 9449 §9: a nonce that comes with a refusal is the one that the API wants. If it refuses for another reason
      // too, it says so again.
      if (key && isNewNonce && canRepeat && triedAgain !== given) triedAgain = given;
      else {
        const getting: Promise<Access | undefined> = access.getOther(given, signal).catch(ifSignedOut);
        // For the next request, where this one cannot be sent again.
        getting.catch(() => {});
        const other = canRepeat && (await getting);
        if (!other) return response;
        given = other;
      }
      response.body?.cancel().catch(() => {});
    }
  };
}
