/**
 * Starts an example from the repository: `npm run example express`. Registers it first with the Keyturn that `npm start`
 * runs beside it: as a resource, so that it follows the revocation feed, and as a client if it signs people in.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

const examples = import.meta.dirname;
const keyturn = path.join(examples, "../packages/server/src/cli/main.ts");

/** These bring a Keyturn of their own, unless KEYTURN_ISSUER names another one. */
const selfContained = ["spa", "ssr"];

/** These sign people in by OpenID Connect; to each address its port when nobody chooses one. */
const clients: Readonly<Record<string, { type: string; port: number; isResource: boolean; hears?: string }>> =
  {
    "oidc-spa": { type: "spa", port: 4006, isResource: true },
    "oidc-web": { type: "web", port: 4007, isResource: false, hears: "/back-channel-logout" },
  };

const [name = "", form = "app"] = process.argv.slice(2);
const file = path.join(examples, name, `${form}.ts`);
const choices = fs
  .globSync("*/{app,embedded}.ts", { cwd: examples })
  .sort()
  .map((choice) => choice.replace(path.sep, " ").replace(/( app)?\.ts$/, ""));

if (!/^[\w-]+$/.test(name) || !/^\w+$/.test(form) || !fs.existsSync(file)) {
  console.error(`Say which: npm run example ${choices.join(", npm run example ")}.`);
  process.exitCode = 2;
} else {
  const isResource = clients[name]?.isResource ?? true;
  if (asksForKeyturn() && isResource && process.env.RESOURCE_SECRET === undefined)
    register(`example-${name}`);
  if (process.env.CLIENT_ID === undefined) registerClient();
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

/** Puts the client into the environment, where the example signs people in; a secret is new at the second start. */
function registerClient(): void {
  const client = clients[name];
  if (client === undefined) return;
  const url = process.env.APPLICATION_URL ?? `http://localhost:${process.env.PORT ?? client.port}`;
  const places = ["--redirect-uri", `${url}/callback`, "--post-logout-redirect-uri", `${url}/`];
  if (client.hears !== undefined) places.push("--backchannel-logout-uri", `${url}${client.hears}`);
  let told = runKeyturn(["client", "add", `Example ${name}`, "--id", name, "--type", client.type, ...places]);
  if (told.error === "id_taken") {
    told = runKeyturn(["client", "set", name, ...places]);
    if (client.type === "web" && told.error === undefined) told = runKeyturn(["client", "secret", name]);
  }
  if (told.error !== undefined) console.error(`The example is no client: ${told.error_description}`);
  process.env.CLIENT_ID = name;
  // Of a public client there is none.
  if (told.secret) process.env.CLIENT_SECRET = told.secret;
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
