import {
  addProvider,
  disableProvider,
  enableProvider,
  keepTokensOf,
  listProviders,
  type ProviderRooms,
  redirectUriOf,
  removeProvider,
  showProvider,
} from "../../admin/commands/providers.ts";
import { limits } from "../../primitives/limits.ts";
import { isPresetName } from "../../providers/presets.ts";
import type { Provider } from "../../providers/provider.ts";
import type { ProviderUse } from "../../providers/providers.ts";
import { type Context, inRooms } from "../open.ts";
import { type Outcome, type Refused, refused, WrongUsage } from "../outcome.ts";
import { readText } from "../password-input.ts";
import { isoTime, readableTime, record, table } from "../terminal.ts";

export interface AddOptions {
  readonly clientId: string;
  readonly clientSecretStdin?: boolean;
  readonly id?: string;
  readonly label?: string;
  readonly issuer?: string;
  readonly scope?: string;
  readonly trustEmail?: boolean;
  readonly keepTokens?: boolean;
  readonly teamId?: string;
  readonly keyId?: string;
  readonly authorizationEndpoint?: string;
  readonly tokenEndpoint?: string;
  readonly profileEndpoint?: string;
  readonly emailsEndpoint?: string;
}

export async function add(context: Context, preset: string, options: AddOptions): Promise<Outcome> {
  if (!isPresetName(preset)) throw new WrongUsage(`There is no preset ${preset}.`);
  const secret = options.clientSecretStdin === true ? await readSecret(context) : undefined;
  return inRooms(context, async (rooms) => {
    const added = await addProvider(rooms, {
      preset,
      id: options.id,
      label: options.label,
      clientId: options.clientId,
      secret,
      issuer: options.issuer,
      scopes: options.scope,
      trustsEmail: options.trustEmail,
      keepsTokens: options.keepTokens,
      signing: {
        ...(options.teamId && { teamId: options.teamId }),
        ...(options.keyId && { keyId: options.keyId }),
      },
      endpoints: endpointsFrom(options),
    });
    switch (added.outcome) {
      case "added": {
        const { provider } = added;
        const redirectUri = redirectUriOf(rooms, provider);
        return {
          outcome: "done",
          json: { provider: shownProvider(provider, rooms) },
          text: record(fieldsOf(provider, rooms)),
          note: `Register this redirect URI there: ${redirectUri}\nRunning servers show its button within seconds.`,
        };
      }
      case "id_taken":
        return refused("id_taken", `There is a provider ${options.id ?? preset}; give another name by --id.`);
      case "too_many":
        return refused("too_many", `There are ${limits.providersMax} providers; remove one first.`);
      case "invalid":
        return refused(`invalid_${added.field}`, added.problem);
    }
  });
}

async function readSecret({ terminal }: Context): Promise<string> {
  const secret = await readText(terminal, { bytesMax: limits.clientSecretBytesMax, what: "client secret" });
  if (secret !== "") return secret;
  throw new WrongUsage("The standard input is empty; --client-secret-stdin takes the client secret from it.");
}

function endpointsFrom(options: AddOptions) {
  const { authorizationEndpoint, tokenEndpoint, profileEndpoint, emailsEndpoint } = options;
  return {
    ...(authorizationEndpoint && { authorization: authorizationEndpoint }),
    ...(tokenEndpoint && { token: tokenEndpoint }),
    ...(profileEndpoint && { profile: profileEndpoint }),
    ...(emailsEndpoint && { emails: emailsEndpoint }),
  };
}

export function list(context: Context): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const providers = await listProviders(rooms);
    const rows = providers.map((provider) => [
      provider.id,
      provider.preset,
      provider.label,
      provider.issuer,
      stateOf(provider),
    ]);
    return {
      outcome: "done",
      json: { providers: providers.map((provider) => shownProvider(provider, rooms)) },
      text: table(["ID", "PRESET", "LABEL", "ISSUER", "STATE"], rows),
    };
  });
}

export function show(context: Context, id: string): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const found = await showProvider(rooms, id);
    if (found.outcome !== "found") return unknownProvider(id);
    const { provider, use, tokensKept } = found;
    return {
      outcome: "done",
      json: { provider: { ...shownProvider(provider, rooms), ...use, tokensKept } },
      text: record({ ...fieldsOf(provider, rooms), accounts: useOf(use), "tokens of": `${tokensKept}` }),
    };
  });
}

export async function set(
  context: Context,
  id: string,
  { keepTokens }: { readonly keepTokens?: boolean },
): Promise<Outcome> {
  if (keepTokens === undefined)
    throw new WrongUsage("There is nothing to change: give --keep-tokens or --no-keep-tokens.");
  return inRooms(context, async (rooms) => {
    const done = await keepTokensOf(rooms, { id, keeps: keepTokens });
    if (done.outcome === "unknown_provider") return unknownProvider(id);
    const kept = keepTokens
      ? "are kept from the next sign-in on"
      : "are not kept; those that were are deleted";
    return {
      outcome: "done",
      json: { outcome: done.outcome === "done" ? "changed" : "unchanged", id, keepsTokens: keepTokens },
      text: done.outcome === "done" ? `Tokens of ${id} ${kept}.` : `It was so already.`,
    };
  });
}

const acts = { enabled: enableProvider, disabled: disableProvider, removed: removeProvider } as const;

export const enable = (context: Context, id: string) => onProvider(context, id, "enabled");
export const disable = (context: Context, id: string) => onProvider(context, id, "disabled");
export const remove = (context: Context, id: string) => onProvider(context, id, "removed");

function onProvider(context: Context, id: string, word: keyof typeof acts): Promise<Outcome> {
  return inRooms(context, async (rooms) => {
    const done = await acts[word](rooms, id);
    if (done.outcome === "unknown_provider") return unknownProvider(id);
    const isNew = done.outcome === "done";
    const note = isNew && word !== "enabled" && done.use.onlyWay > 0 ? { note: lockedOut(done.use) } : {};
    return {
      outcome: "done",
      json: { outcome: isNew ? word : "unchanged", id, ...done.use },
      text: isNew ? `The provider ${id} is ${word}.` : `The provider ${id} was ${word} already.`,
      ...note,
    };
  });
}

const lockedOut = ({ onlyWay }: ProviderUse) =>
  `${onlyWay === 1 ? "An account has" : `${onlyWay} accounts have`} no other way to sign in: set a password by keyturn user password, or bring the provider back.`;

const useOf = ({ accounts, onlyWay }: ProviderUse) => `${accounts}, the only way in for ${onlyWay}`;
const stateOf = ({ disabledAt }: Provider) => (disabledAt === undefined ? "enabled" : "disabled");

function unknownProvider(id: string): Refused {
  return refused("unknown_provider", `There is no provider ${id}; keyturn provider list shows them.`);
}

/** Never the secret, in any form. */
function shownProvider(provider: Provider, rooms: Pick<ProviderRooms, "settings">) {
  const { id, preset, label, issuer, endpoints, clientId, scopes, trustsEmail, keepsTokens, hasSecret } =
    provider;
  return {
    id,
    preset,
    label,
    issuer,
    endpoints: endpoints ?? null,
    clientId,
    hasSecret,
    scopes: scopes.split(" "),
    trustsEmail,
    keepsTokens,
    redirectUri: redirectUriOf(rooms, provider),
    createdAt: isoTime(provider.createdAt),
    disabledAt: isoTime(provider.disabledAt),
  };
}

function fieldsOf(provider: Provider, rooms: Pick<ProviderRooms, "settings">) {
  return {
    id: provider.id,
    preset: provider.preset,
    label: provider.label,
    issuer: provider.issuer,
    "client id": provider.clientId,
    scopes: provider.scopes,
    "trusts e-mail": provider.trustsEmail ? "yes" : "no",
    "keeps tokens": provider.keepsTokens ? "yes, sealed" : "no",
    "redirect URI": redirectUriOf(rooms, provider),
    state: stateOf(provider),
    added: readableTime(provider.createdAt),
  };
}
