import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { WrongSetting } from "../config.ts";

/** What a settings file holds, unchecked but for being an object. */
export interface ConfigFile {
  /** As the operator knows it: for error lines. */
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** The export `hooks` of a settings file in TypeScript. */
  readonly hooks?: unknown;
}

const NAMES = ["keyturn.config.ts", "keyturn.config.json"];
const BYTES_MAX = 1024 * 1024;

/**
 * The settings file that was named, or the one in the folder; undefined when there is none.
 * @throws WrongSetting one line that names the file and what is wrong, without what stands in it
 */
export async function readConfigFile(
  named: string | undefined,
  folder: string,
): Promise<ConfigFile | undefined> {
  if (named !== undefined) {
    const text = await readText(resolve(folder, named), named);
    if (text === undefined)
      throw new WrongSetting(`--config is ${named}, which does not exist; it takes a file.`);
    return {
      name: basename(named),
      ...(await contentOf(resolve(folder, named), { name: named, text })),
    };
  }
  const found: { name: string; text: string }[] = [];
  for (const name of NAMES) {
    const text = await readText(resolve(folder, name), name);
    if (text !== undefined) found.push({ name, text });
  }
  const [file, second] = found;
  if (file === undefined) return undefined;
  if (second !== undefined) {
    throw new WrongSetting(
      `There are two settings files, ${NAMES.join(" and ")}; remove one, or name one by --config.`,
    );
  }
  return { name: file.name, ...(await contentOf(resolve(folder, file.name), file)) };
}

async function readText(path: string, name: string): Promise<string | undefined> {
  try {
    const text = await readFile(path, "utf8");
    if (text.length > BYTES_MAX)
      throw new WrongSetting(`${name} is larger than 1 MiB; it takes settings only.`);
    return text.replace(/^\uFEFF/, "");
  } catch (error) {
    if (error instanceof WrongSetting) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    const reason = code === "EISDIR" ? "is a folder; it takes a file" : `cannot be read (${code})`;
    throw new WrongSetting(`${name} ${reason}.`);
  }
}

async function contentOf(path: string, { name, text }: { name: string; text: string }) {
  const isJson = path.endsWith(".json");
  const { default: value, hooks } = isJson
    ? { default: parseJson(text, name), hooks: undefined }
    : await importModule(path, name);
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return { settings: value as Record<string, unknown>, hooks };
  const takes = isJson ? '{ "port": 3000 }' : "export default { port: 3000 }";
  throw new WrongSetting(`${name} holds no object of settings; it takes one, as in: ${takes}`);
}

function parseJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // Only the place: the message quotes what stands there, which may be a secret.
    throw new WrongSetting(`${name} is not valid JSON${placeIn(text, (error as Error).message)}.`);
  }
}

function placeIn(text: string, message: string): string {
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position === undefined) return / end of JSON/.test(message) ? ": it ends too early" : "";
  const before = text.slice(0, Number(position)).split("\n");
  return ` (line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1})`;
}

async function importModule(path: string, name: string): Promise<{ default?: unknown; hooks?: unknown }> {
  try {
    return await import(pathToFileURL(path).href);
  } catch (error) {
    throw new WrongSetting(`${name} cannot be loaded: ${reasonOf(error)}.`);
  }
}

function reasonOf(error: unknown): string {
  const { code, name, message, stack } = error as Partial<NodeJS.ErrnoException>;
  if (name === "SyntaxError") {
    // Only the place: the message may quote what stands there.
    const line = /^[^\n]*:(\d+)\n/.exec(stack ?? "")?.[1];
    const kind = code?.includes("UNSUPPORTED")
      ? "TypeScript that Node cannot run as it is"
      : "a syntax error";
    return `it has ${kind}${line === undefined ? "" : ` (line ${line})`}`;
  }
  if (code === "ERR_MODULE_NOT_FOUND") return "it imports a file or package that is not there";
  if (code === "ERR_UNKNOWN_FILE_EXTENSION") return "its name must end in .ts, .js, .mjs or .json";
  return `it throws ${String(name ?? "something")}: ${String(message ?? error)
    .split("\n")[0]
    ?.slice(0, 200)}`;
}
