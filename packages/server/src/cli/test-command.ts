import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import type { SettingsInput } from "../config-schema.ts";
import { randomBytes } from "../primitives/random.ts";
import { openTestDatabase } from "../storage/test-database.ts";
import { assertNoSecretIn } from "../test-secrets.ts";
import { runProgram } from "./program.ts";

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The parsed standard output. */
  json(): Record<string, unknown>;
}

/** A folder with settings for a database of its own that nothing has been made in, and commands that run there. */
export async function openTestPlace(settings: SettingsInput = {}) {
  const folder = mkdtempSync(join(tmpdir(), "keyturn-cli-"));
  const stored = await openTestDatabase({ empty: true });
  const config = join(folder, "keyturn.config.json");
  const written: SettingsInput = {
    data: join(folder, "data"),
    database: stored.url,
    secret: randomBytes(32).toString("base64url"),
    issuer: "http://127.0.0.1:1",
    passwordMemoryKib: 7168,
    passwordPasses: 1,
    logLevel: "error",
    ...settings,
  };
  writeFileSync(config, JSON.stringify(written));
  return {
    folder,
    config,
    settings: written,
    run: (args: readonly string[], stdin = "") => runCommand([...args, "--config", config], stdin),
    async close() {
      await stored.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Runs a command in this process, with nobody at a terminal. */
export async function runCommand(args: readonly string[], stdin = ""): Promise<Ran> {
  const collect = () => {
    const chunks: string[] = [];
    const stream = new Writable({
      decodeStrings: false,
      write(chunk, _encoding, done) {
        chunks.push(String(chunk));
        done();
      },
    });
    return { stream, text: () => chunks.join("") };
  };
  const out = collect();
  const err = collect();
  const terminal = {
    stdin: Readable.from(stdin === "" ? [] : [stdin]),
    stdout: out.stream,
    stderr: err.stream,
  };
  const exitCode = await runProgram(args, terminal);
  // The answer may be a secret that was asked for. What is said beside it holds none, nor the one that was typed.
  const typed = stdin.trimEnd();
  assertNoSecretIn(err.text(), typed.length >= 8 && !typed.includes("\n") ? [typed] : []);
  return { exitCode, stdout: out.text(), stderr: err.text(), json: () => JSON.parse(out.text()) };
}
