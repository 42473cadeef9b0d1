import { settingNotes } from "../../packages/server/src/config-notes.ts";
import { type SettingName, settingsSchema } from "../../packages/server/src/config-schema.ts";
import { code, pageHead, table } from "./markdown.ts";

const defaults: Readonly<Record<string, unknown>> = settingsSchema.parse({});
const names = Object.keys(settingNotes) as SettingName[];

const WRITTEN_DEFAULT = / Default: (.+)\.$/;

/** docs/settings.md: every setting of config.ts. */
export function settingsPage(): string {
  const overview = names.map((name) => [
    `[${code(name)}](#${name.toLowerCase()})`,
    variableOf(name),
    shownDefault(name),
  ]);
  return `${pageHead("Settings", "packages/server/src/config.ts")}
Nothing has to be set for a first try. For anything that others use, set \`issuer\` and \`secret\`: [production.md](production.md) says why.

Settings come from three places; a later one overrides an earlier one:

1. A file in the folder where the server starts: \`keyturn.config.json\`, or \`keyturn.config.ts\` with \`export default { … }\`. \`--config FILE\` names another one.
2. Environment variables. An empty one counts as not set. A setting without a variable can be set in the file only.
3. The options \`--port\` and \`--host\` of \`keyturn serve\`.

\`\`\`json
{
  "issuer": "https://login.example.com",
  "registration": "off",
  "accessTokenSeconds": 300
}
\`\`\`

A wrong setting stops the start with one line that names the setting, what it got and what it takes. A variable that begins with \`KEYTURN_\` and is no setting is reported by \`keyturn doctor\`. \`createKeyturn({ … })\` takes the same names, and reads neither file nor environment.

${table(["Setting", "Variable", "Default"], overview)}
${names.map(section).join("\n")}`;
}

function section(name: SettingName): string {
  const { about, takes, secret } = settingNotes[name];
  const facts = [
    ["Variable", variableOf(name)],
    ["Takes", takes],
    ["Default", shownDefault(name)],
  ];
  const warning = secret ? "\nIts value is a secret: no error line and no log shows it.\n" : "";
  const list = facts.map(([fact, text]) => `- ${fact}: ${text}\n`).join("");
  return `## ${name}\n\n${about.replace(WRITTEN_DEFAULT, "")}\n${warning}\n${list}`;
}

function variableOf(name: SettingName): string {
  const { variable } = settingNotes[name];
  return variable === undefined ? "none" : code(variable);
}

function shownDefault(name: SettingName): string {
  const value = defaults[name];
  // What depends on other settings is told in words, at the end of the sentence.
  if (value === undefined) return WRITTEN_DEFAULT.exec(settingNotes[name].about)?.[1] ?? "not set";
  const words = name.endsWith("Seconds") && typeof value === "number" ? durationOf(value) : undefined;
  return code(String(value)) + (words === undefined ? "" : ` (${words})`);
}

/** Undefined for what is read as easily in seconds. */
function durationOf(seconds: number): string | undefined {
  for (const [unit, length] of [
    ["days", 86_400],
    ["minutes", 60],
  ] as const) {
    if (seconds % length === 0 && seconds > length) return `${seconds / length} ${unit}`;
  }
  return undefined;
}
