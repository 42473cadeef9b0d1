import { parseSettings, type ResolvedSettings, WrongSetting } from "../config.ts";
import { settingNotes } from "../config-notes.ts";
import { type SettingName, type SettingsInput, settingsSchema } from "../config-schema.ts";
import { type Hooks, parseHooks } from "../hooks.ts";
import { readConfigFile } from "./config-file.ts";

/** Where settings come from, weakest first: the file, the environment, the options of the command line. */
export interface SettingsSources {
  /** The file named by `--config`. Default: keyturn.config.ts or .json in `folder`, if there is one. */
  readonly config?: string | undefined;
  readonly port?: string | undefined;
  readonly host?: string | undefined;
  /** Default: the folder that the command runs in. */
  readonly folder?: string;
  /** Default: the environment of this process. This is the only place that reads it. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export interface LoadedSettings {
  readonly settings: ResolvedSettings;
  /** What was said, without defaults. */
  readonly input: SettingsInput;
  readonly hooks: Hooks;
  /** Variables that look like ours and are no setting: most likely a slip of the pen. */
  readonly unknownVariables: readonly string[];
}

const WHOLE_NUMBER = /^(0|[1-9]\d{0,14})$/;

/**
 * Every setting from the file, overridden by the environment, overridden by the command line. An empty variable
 * counts as not set.
 * @throws WrongSetting one line for each wrong setting, by the name under which it was given; never a secret
 */
export async function loadSettings(sources: SettingsSources = {}): Promise<LoadedSettings> {
  const { environment = process.env, folder = process.cwd(), port, host } = sources;
  const file = await readConfigFile(sources.config, folder);
  const input: Record<string, unknown> = { ...file?.settings };
  const names = new Map<string, string>();
  if (file !== undefined) for (const name of Object.keys(input)) names.set(name, `${file.name}: ${name}`);
  for (const [name, { variable }] of Object.entries(settingNotes)) {
    const text = variable && environment[variable];
    if (!text) continue;
    input[name] = settingValue(name as SettingName, text);
    names.set(name, variable);
  }
  if (file !== undefined) input.clients = withSecrets(input.clients, { environment, file: file.name });
  for (const [name, text] of [
    ["port", port],
    ["host", host],
  ] as const) {
    if (text === undefined) continue;
    input[name] = settingValue(name, text);
    names.set(name, `--${name}`);
  }
  const settings = parseSettings(input, (name) => names.get(name) ?? name);
  const hooks = parseHooks(file?.hooks);
  return { settings, input: input as SettingsInput, hooks, unknownVariables: unknownVariables(environment) };
}

/** A text as the setting takes it: a number only where the setting is one and the text is nothing but digits. */
function settingValue(name: SettingName, text: string): unknown {
  if (settingsSchema.shape[name].safeParse(text).success || !WHOLE_NUMBER.test(text)) return text;
  return Number(text);
}

function unknownVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  const known = new Set(Object.values(settingNotes).map(({ variable }) => variable));
  return Object.keys(environment)
    .filter((name) => name.startsWith("KEYTURN_") && !name.startsWith("KEYTURN_TEST_") && !known.has(name))
    .sort();
}

/**
 * The clients of a settings file, with their secrets from the environment: none stands in a file, which is copied,
 * committed and shown.
 * @throws WrongSetting
 */
function withSecrets(
  clients: unknown,
  from: { environment: Readonly<Record<string, string | undefined>>; file: string },
): unknown {
  if (!Array.isArray(clients)) return clients;
  return clients.map((client: unknown, index) => {
    if (typeof client !== "object" || client === null) return client;
    if ("secret" in client) {
      throw new WrongSetting(
        `${from.file}: clients[${index}].secret stands in the file; name the environment variable that holds it by secretVariable.`,
      );
    }
    const name = "secretVariable" in client ? client.secretVariable : undefined;
    const secret = typeof name === "string" ? from.environment[name] : undefined;
    return secret ? { ...client, secret } : client;
  });
}
