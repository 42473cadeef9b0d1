/**
 * Starts an example from the repository: `npm run example express`. Registers it as a resource first, so that it
 * follows the revocation feed of the Keyturn that `npm start` runs beside it.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const examples = import.meta.dirname;
const keyturn = path.join(examples, "../packages/server/src/cli/main.ts");

/** These bring a Keyturn of their own, unless KEYTURN_ISSUER names another one. */
const selfContained = ["spa", "ssr"];

const [name = "", form = "app"] = process.argv.slice(2);
const file = path.join(examples, name, `${form}.ts`);
const choices = fs
  .globSync("*/{app,embedded}.ts", { cwd: examples })
  .sort()
  .map((choice) => choice.replace(path.sep, " ").replace(/( app)?\.ts$/, ""));

if (!/^\w+$/.test(name) || !/^\w+$/.test(form) || !fs.existsSync(file)) {
  console.error(`Say which: npm run example ${choices.join(", npm run example ")}.`);
  process.exitCode = 2;
} else {
  if (asksForKeyturn() && process.env.RESOURCE_SECRET === undefined) register(`example-${name}`);
  await start();
}

function asksForKeyturn(): boolean {
  return form === "app" && (!selfContained.includes(name) || process.env.KEYTURN_ISSUER !== undefined);
}

async function start(): Promise<void> {
  try {
    await import(file);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.error("Is Keyturn running? npm start starts it; KEYTURN_ISSUER names another one.");
    process.exitCode = 1;
  }
}

/**
 * What clients know an API by and may ask for there, where they ask for it by name (RFC 8707); the others are the
 * audience that Keyturn has by default.
 */
function named(): readonly string[] {
  if (name !== "mcp") return [];
  const resource = process.env.RESOURCE ?? `http://localhost:${process.env.PORT ?? 4005}/mcp`;
  return ["--resource", resource, "--scope", "notes:read notes:write"];
}

/** Puts the credentials of a resource into the environment; at the second start it gets a new secret. */
function register(id: string): void {
  const asWhat = ["--id", id, "--type", "resource", ...named()];
  const added = runKeyturn(["client", "add", `Example ${name}`, ...asWhat]);
  const isKnown = added.error === "id_taken";
  if (isKnown && named().length > 0) runKeyturn(["client", "set", id, ...named()]);
  const { secret, error_description: problem } = isKnown ? runKeyturn(["client", "secret", id]) : added;
  if (secret === undefined) {
    console.error(`The example does not follow the revocation feed: ${problem}`);
    return;
  }
  process.env.RESOURCE_ID = id;
  process.env.RESOURCE_SECRET = secret;
}

function runKeyturn(args: readonly string[]): Record<string, string | undefined> {
  const command = [...process.execArgv, keyturn, ...args, "--json"];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: "utf8" });
  const text = status === 0 ? stdout : (stderr.trim().split("\n").at(-1) ?? "");
  try {
    return JSON.parse(text);
  } catch {
    return { error: "unexpected", error_description: text };
  }
}
