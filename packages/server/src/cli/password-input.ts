import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { limits } from "../primitives/limits.ts";
import { Interrupted, WrongUsage } from "./outcome.ts";
import type { Terminal } from "./terminal.ts";

/**
 * A password from the standard input, or asked for twice at a terminal. Undefined when there is nobody to ask:
 * then one is made. Never from an argument: every user of the machine can read those.
 * @throws WrongUsage when what came cannot be a password
 */
export async function readPassword(
  terminal: Terminal,
  { fromStdin }: { fromStdin: boolean },
): Promise<string | undefined> {
  if (fromStdin) return readAll(terminal);
  if (!terminal.stdin.isTTY || !terminal.stderr.isTTY) return undefined;
  const first = await ask(terminal, "Password: ");
  if (first === "") throw new WrongUsage("No password was given; nothing was changed.");
  if ((await ask(terminal, "The same again: ")) !== first) {
    throw new WrongUsage("The two passwords differ; nothing was changed.");
  }
  return first;
}

/** Everything up to the end of the input, without one line break at its end. */
async function readAll(terminal: Terminal): Promise<string> {
  const password = await readText(terminal, { bytesMax: limits.passwordBytesMax, what: "password" });
  if (password === "")
    throw new WrongUsage("The standard input is empty; --password-stdin takes the password from it.");
  if (/[\r\n]/.test(password))
    throw new WrongUsage("The standard input holds several lines; it takes one password.");
  return password;
}

/** The same for a secret of any kind, which may have several lines. */
export async function readText(
  { stdin }: Pick<Terminal, "stdin">,
  { bytesMax, what }: { bytesMax: number; what: string },
): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > bytesMax + 2) {
      throw new WrongUsage(`The standard input holds more than ${bytesMax} bytes; it takes a ${what}.`);
    }
    chunks.push(part);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new WrongUsage(`The ${what} on the standard input is not UTF-8.`);
  }
  return text.replace(/\r?\n$/, "");
}

async function ask({ stdin, stderr }: Terminal, question: string): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: stdin, output: silent, terminal: true, historySize: 0 });
  stderr.write(question);
  try {
    return await new Promise<string>((resolve, reject) => {
      reader.once("SIGINT", () => reject(new Interrupted("Interrupted; nothing was changed.")));
      reader.once("close", () => reject(new Interrupted("The input ended; nothing was changed.")));
      reader.question("", resolve);
    });
  } finally {
    reader.close();
    stderr.write("\n");
  }
}
