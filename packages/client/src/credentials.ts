import type { Tools } from "./tools.ts";

/** Passkeys as the browser has them: JSON to and from `navigator.credentials` (WebAuthn Level 3 §5.1). */

type Bytes = ArrayBuffer;
interface Described {
  readonly id: string;
}
interface OptionsJson {
  readonly challenge: string;
  readonly user?: Described;
  readonly allowCredentials?: readonly Described[];
  readonly excludeCredentials?: readonly Described[];
}
interface Credential {
  readonly id: string;
  readonly rawId: Bytes;
  readonly type: string;
  readonly response: Readonly<Record<string, unknown>> & { getTransports?(): string[] };
  getClientExtensionResults?(): object;
  toJSON?(): object;
}
interface Maker {
  parseRequestOptionsFromJSON?(json: unknown): object;
  parseCreationOptionsFromJSON?(json: unknown): object;
  isConditionalMediationAvailable?(): Promise<boolean>;
}
interface Browser {
  readonly PublicKeyCredential?: Maker;
  readonly navigator?: {
    readonly credentials?: Record<"get" | "create", (options: object) => Promise<Credential | null>>;
  };
}

const browser = globalThis as unknown as Browser;

const toBytes = (text: string) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
const toText = (bytes: Bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=/g, "");

/** For browsers without `parse…OptionsFromJSON`. */
function parse(json: OptionsJson): object {
  const withBytes = <T extends Described>(one: T) => ({ ...one, id: toBytes(one.id) });
  const { challenge, user, allowCredentials, excludeCredentials } = json;
  return {
    ...json,
    challenge: toBytes(challenge),
    ...(user && { user: withBytes(user) }),
    ...(allowCredentials && { allowCredentials: allowCredentials.map(withBytes) }),
    ...(excludeCredentials && { excludeCredentials: excludeCredentials.map(withBytes) }),
  };
}

/** For those without `toJSON`. */
function write({ id, rawId, type, response, ...credential }: Credential, extensions: object): object {
  const members: Record<string, unknown> = {};
  const names = ["clientDataJSON", "authenticatorData", "signature", "userHandle", "attestationObject"];
  for (const name of names) {
    if (response[name] instanceof ArrayBuffer) members[name] = toText(response[name]);
  }
  const transports = response.getTransports?.();
  return {
    ...{ id, rawId: toText(rawId), type, clientExtensionResults: extensions },
    response: { ...members, ...(transports && { transports }) },
    ...credential,
  };
}

interface Asked {
  /** As Keyturn gives them. */
  readonly options: unknown;
  readonly act?: "get" | "create";
  readonly isConditional?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Whether the browser can offer passkeys where a name is typed. */
export const canOffer = async (): Promise<boolean> =>
  (await browser.PublicKeyCredential?.isConditionalMediationAvailable?.()) === true;

/**
 * What the browser answers, as JSON for Keyturn.
 *
 * @throws KeyturnError `no_passkey`; and the signal's reason.
 */
export async function askForPasskey(
  [, , , , , , , KeyturnError]: Tools,
  { options, act = "get", isConditional = false, signal }: Asked,
): Promise<object> {
  const maker = browser.PublicKeyCredential;
  const credentials = browser.navigator?.credentials;
  const refuse = (message: string, cause?: unknown) => new KeyturnError("no_passkey", message, { cause });
  if (!maker || !credentials) throw refuse("Passkeys are not known here");
  const own = act === "get" ? maker.parseRequestOptionsFromJSON : maker.parseCreationOptionsFromJSON;
  try {
    const publicKey = own ? own.call(maker, options) : parse(options as OptionsJson);
    const mediation = isConditional && { mediation: "conditional" };
    const credential = await credentials[act]({ publicKey, ...mediation, ...(signal && { signal }) });
    if (!credential) throw new Error("none");
    return credential.toJSON?.() ?? write(credential, credential.getClientExtensionResults?.() ?? {});
  } catch (cause) {
    signal?.throwIfAborted();
    throw refuse("The browser gave no passkey", cause);
  }
}
