import { createPrivateKey } from "node:crypto";
import { limits } from "../primitives/limits.ts";
import { isLoopback } from "../primitives/loopback.ts";
import { checkName } from "../users/names.ts";
import { type Endpoints, type PresetName, presetOf } from "./presets.ts";
import type { Signing } from "./provider.ts";

export interface NewProvider {
  readonly preset: PresetName;
  /** Default: the preset's name. */
  readonly id?: string | undefined;
  readonly label?: string | undefined;
  readonly clientId: string;
  /** The client secret; for a signed one the private key, PEM (PKCS #8), P-256. */
  readonly secret?: string | undefined;
  readonly signing?: Partial<Signing> | undefined;
  readonly issuer?: string | undefined;
  /** Of a provider without discovery that runs elsewhere than the preset says. Needs an issuer of its own. */
  readonly endpoints?: Partial<Endpoints> | undefined;
  readonly scopes?: string | undefined;
  readonly trustsEmail?: boolean | undefined;
  /** Default: no. */
  readonly keepsTokens?: boolean | undefined;
}

export interface WrongProvider {
  readonly outcome: "invalid";
  readonly field: "id" | "label" | "client_id" | "secret" | "issuer" | "endpoints" | "scopes" | "signing";
  readonly problem: string;
}

export interface CheckedProvider {
  readonly id: string;
  readonly label: string;
  readonly issuer: string;
  readonly endpoints: Endpoints | undefined;
  readonly clientId: string;
  readonly secret: string | undefined;
  readonly signing: Signing | undefined;
  readonly scopes: string;
  readonly trustsEmail: boolean;
}

const ID = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/;
/** RFC 6749 Appendix A.1 and A.2: what can be sent. */
const PRINTABLE = /^[\x20-\x7e]+$/;
const SCOPES = /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/;
/** Apple's ids of teams and keys. */
const TEN = /^[A-Z0-9]{10}$/;

const wrong = (field: WrongProvider["field"], problem: string): WrongProvider => ({
  outcome: "invalid",
  field,
  problem,
});

export const isProviderId = (text: string): boolean => ID.test(text);

/** A new provider with what its preset says filled in, or what is wrong with it. */
export function checkNewProvider(input: NewProvider): CheckedProvider | WrongProvider {
  const preset = presetOf(input.preset);
  const id = input.id ?? input.preset;
  if (!isProviderId(id))
    return wrong("id", "An id has 1 to 40 of a-z 0-9 - and neither begins nor ends with -.");
  const label = checkName(input.label ?? preset.label);
  if (!label.ok) return wrong("label", label.problem);
  const { clientId } = input;
  if (clientId.length > limits.clientIdCharactersMax || !PRINTABLE.test(clientId)) {
    return wrong("client_id", "A client id is the text that the provider gave you, without line breaks.");
  }
  const place = placeOf(input);
  if ("outcome" in place) return place;
  const scopes = input.scopes ?? preset.scopes;
  if (scopes.length > limits.clientIdCharactersMax || !SCOPES.test(scopes)) {
    return wrong("scopes", "Scopes are words separated by single spaces.");
  }
  if (preset.protocol === "oidc" && !scopes.split(" ").includes("openid")) {
    return wrong("scopes", "The scope openid is what asks for an ID token; it must be among them.");
  }
  const secret = secretOf(input);
  if (secret !== undefined && "outcome" in secret) return secret;
  // What a preset knows of "verified" it knows of its own provider only.
  const isElsewhere = place.issuer !== preset.issuer;
  const trustsEmail = input.trustsEmail ?? (preset.trustsEmail && !isElsewhere);
  return {
    id,
    label: label.value,
    clientId,
    scopes,
    trustsEmail,
    ...place,
    secret: secret?.secret,
    signing: secret?.signing,
  };
}

/** Who the provider is, and where. */
function placeOf(input: NewProvider): Pick<CheckedProvider, "issuer" | "endpoints"> | WrongProvider {
  const preset = presetOf(input.preset);
  const { issuer = preset.issuer } = input;
  if (issuer === undefined) return wrong("issuer", "This preset needs --issuer: where the provider is.");
  if (!isAddress(issuer) || /[?#]/.test(issuer)) {
    return wrong(
      "issuer",
      "An issuer is an https address without query and fragment, as the provider writes it.",
    );
  }
  const given = Object.values(input.endpoints ?? {}).filter((one) => one !== undefined);
  if (preset.protocol === "oidc") {
    if (given.length > 0) return wrong("endpoints", "This provider's endpoints are found by its issuer.");
    return { issuer, endpoints: undefined };
  }
  if (given.length === 0) {
    if (issuer === preset.issuer) return { issuer, endpoints: undefined };
    return wrong(
      "endpoints",
      "With another issuer the authorization, token and profile endpoints are needed too.",
    );
  }
  // Else number 42 of that provider would be number 42 of the preset's.
  if (issuer === preset.issuer) {
    return wrong(
      "issuer",
      "With endpoints of its own a provider needs --issuer: who knows people by their numbers there.",
    );
  }
  const { authorization, token, profile, emails } = input.endpoints ?? {};
  if (
    authorization === undefined ||
    token === undefined ||
    profile === undefined ||
    !given.every(isAddress)
  ) {
    return wrong("endpoints", "Give the authorization, token and profile endpoints, all as https addresses.");
  }
  return { issuer, endpoints: { authorization, token, profile, ...(emails && { emails }) } };
}

function secretOf(
  input: NewProvider,
): { secret: string; signing: Signing | undefined } | undefined | WrongProvider {
  const preset = presetOf(input.preset);
  const { secret, signing } = input;
  if (preset.clientAuthentication !== "signed") {
    if (signing?.keyId ?? signing?.teamId)
      return wrong("signing", "Only Apple takes a team id and a key id.");
    if (secret === undefined) {
      return preset.clientAuthentication === undefined && input.preset === "oidc"
        ? undefined
        : wrong("secret", "This provider needs a client secret: give it by --client-secret-stdin.");
    }
    return PRINTABLE.test(secret) && secret.length <= limits.clientSecretBytesMax
      ? { secret, signing: undefined }
      : wrong("secret", "A client secret is one line of ASCII, as the provider gave it.");
  }
  const { teamId = "", keyId = "" } = signing ?? {};
  if (!TEN.test(teamId) || !TEN.test(keyId)) {
    return wrong("signing", "Apple needs --team-id and --key-id, each ten of A-Z 0-9.");
  }
  if (secret === undefined || !isP256Key(secret)) {
    return wrong(
      "secret",
      "Apple needs the private key of the key id: give the .p8 file by --client-secret-stdin.",
    );
  }
  return { secret, signing: { teamId, keyId } };
}

function isP256Key(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyDetails?.namedCurve === "prime256v1";
  } catch {
    return false;
  }
}

/** https; http for this machine, where `privateHosts` has to allow it too before anything is sent there. */
function isAddress(text: string): boolean {
  const url = text.length <= limits.clientIdCharactersMax ? URL.parse(text) : null;
  if (url === null || url.username !== "" || url.password !== "" || url.hash !== "") return false;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
}
