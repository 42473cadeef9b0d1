import { askForPasskey, canOffer } from "./credentials.ts";
import type { Door } from "./door.ts";
import type { AddedPasskey, NewPasskey, PasskeySignIn, Proof } from "./how.ts";
import type { Json } from "./replies.ts";
import type { Fetch } from "./runtime.ts";
import type { Session } from "./session.ts";

/** The server forgets a challenge after five minutes; an offer is made anew before. */
const offerMs = 240_000;

export function createPasskeyWays({ parts, ask, enter, proven }: Door) {
  const { settings, runtime, access, tools } = parts;
  const [, , isTransient, , readAccess, , unreachable, KeyturnError] = tools;
  const challenge = () => ask("/passkeys/challenge", {}, ({ options }) => options);

  /** Asks as who is signed in, by their token. */
  async function call(fetch: Fetch, path: string, json: Json): Promise<Json> {
    // Who is signed out is told so, and not what is said to strangers.
    await access.get();
    const response = await fetch(settings.issuer + path, {
      method: "POST",
      credentials: "include",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(json),
    }).catch((cause) => {
      throw isTransient(cause) ? cause : unreachable(cause);
    });
    const body = (await response.json().catch(() => ({}))) as Record<string, string>;
    if (response.ok) return body;
    const { error = "unavailable", error_description: text = "" } = body;
    const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
    throw new KeyturnError(error, text, {
      status: response.status,
      retryAfterSeconds: seconds >= 0 ? seconds : undefined,
    });
  }

  /** Offers passkeys until one is taken, with a challenge that is never too old. */
  async function offered(signal: AbortSignal | undefined): Promise<object> {
    if (!(await canOffer())) throw new KeyturnError("no_passkey", "This browser cannot offer passkeys");
    for (;;) {
      signal?.throwIfAborted();
      const over = new AbortController();
      const stop = () => over.abort();
      signal?.addEventListener("abort", stop);
      let isOld = false;
      void runtime.sleep(offerMs, over.signal, parts.closed).then(() => {
        isOld = !over.signal.aborted && !parts.closed.aborted;
        stop();
      });
      try {
        return await askForPasskey(tools, {
          options: await challenge(),
          isConditional: true,
          signal: over.signal,
        });
      } catch (error) {
        signal?.throwIfAborted();
        if (!isOld) throw error;
      } finally {
        signal?.removeEventListener("abort", stop);
        stop();
      }
    }
  }

  return {
    async signIn({ passkey: how, signal }: PasskeySignIn, more: Json): Promise<Session> {
      const passkey =
        how === "conditional"
          ? await offered(signal)
          : await askForPasskey(tools, { options: await challenge(), signal });
      return (await enter("/login/passkey", { passkey, ...more })).session;
    },

    async proveAgain(proof: Proof, fetch: Fetch): Promise<void> {
      const sinceMs = runtime.now();
      let json: Json = proof;
      if ("passkey" in proof) {
        const { options } = await call(fetch, "/step-up/challenge", {});
        json = { passkey: await askForPasskey(tools, { options, signal: proof.signal }) };
      }
      const reply = readAccess(await call(fetch, "/step-up", json));
      if (!reply) throw unreachable();
      await proven(reply, sinceMs);
    },

    async add({ passkey: { name }, signal }: NewPasskey, fetch: Fetch): Promise<AddedPasskey> {
      const { options } = await call(fetch, "/factors/challenge", {});
      const passkey = await askForPasskey(tools, { options, act: "create", signal });
      const { recoveryCodes } = await call(fetch, "/factors/passkeys", { passkey, ...(name && { name }) });
      return { recoveryCodes: recoveryCodes as string[] | undefined };
    },
  };
}
