import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { keyturnScript } from "./keyturn-process.ts";
import { createStage, root, sourceFlags } from "./stage.ts";

/** What a newcomer copies: the lines that the first start prints, and those of the README, run by a shell as they are. */

const stage = createStage();
after(() => stage.clear());

const missing = ["curl", "sh", "sed"].filter(
  (program) => spawnSync(program, ["--version"]).error !== undefined,
);
const skip = missing.length > 0 && `this machine has no ${missing.join(", ")}`;

// Grace 0, so that the thief need not wait for half a minute.
let environment: Record<string, string>;
let firstWords: string;
let address: string;
let folder: string;

before(async () => {
  folder = stage.folder();
  environment = { KEYTURN_DATA: path.join(folder, "data"), PORT: "0", KEYTURN_REFRESH_GRACE_SECONDS: "0" };
  const server = stage.start(keyturnScript, ["serve"], { environment });
  [, address = ""] = await server.says(/Keyturn \S+ listens on (\S+)/);
  firstWords = server.stdout();
  // The repository's ./keyturn, for the folder that the shell runs in; without what sets up a fresh checkout.
  const launcher = ["exec", process.execPath, ...sourceFlags, keyturnScript]
    .map((part) => `'${part}'`)
    .join(" ");
  fs.writeFileSync(path.join(folder, "keyturn"), `#!/bin/sh\n${launcher.replace("'exec'", "exec")} "$@"\n`, {
    mode: 0o755,
  });
});

/** What a shell prints that runs the lines; a line that fails ends it, and the test. */
async function shell(lines: string): Promise<string> {
  const { stdout } = await promisify(execFile)("sh", ["-e", "-c", lines], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...environment },
    timeout: 30_000,
  });
  return stdout;
}

const printedPassword = () => /^ +password +(\S+)$/m.exec(firstWords)?.[1] ?? "";

test("the lines that the first start prints sign in, call, refresh and list devices", { skip }, async () => {
  const [, lines = ""] = /\(copy into a shell\):\n\n((?: {4}.*\n)+)/.exec(firstWords) ?? [];
  assert.match(lines, /\/login/, firstWords);
  const answers = await shell(lines.replaceAll(/(curl -s .*\/(?:me|refresh|sessions) .*)$/gm, "$1; echo"));
  const [me, turned, devices] = answers
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(me.username, "admin");
  assert.deepEqual(me.roles, ["admin"]);
  assert.match(turned.refreshToken, /^krt_/);
  assert.match(turned.accessToken, /^eyJ/);
  assert.equal(devices.sessions[0].device, "my terminal");
});

test("the README's lines go from sign-in through a theft to session explain", { skip }, async () => {
  const section = /^## Sixty seconds\n([\s\S]*?)^## /m.exec(
    fs.readFileSync(path.join(root, "README.md"), "utf8"),
  );
  const blocks = [...(section?.[1] ?? "").matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(
    ([, block = ""]) => block,
  );
  assert.match(blocks[0] ?? "", /^npm start$/m, "the first block starts the server, as this test did");
  const lines = blocks
    .slice(1)
    .join("\n")
    .replaceAll("http://localhost:3000", address)
    .replace("PASTE IT HERE", printedPassword())
    .replace(/^sleep 31$/m, "sleep 0.1")
    // One answer a line.
    .replaceAll(/^(curl(?:.*\\\n)*.*)$/gm, "$1; echo");
  assert.match(lines, /sleep 0\.1/, "the thief waits until the grace is over");
  const answers = await shell(lines);
  const documents = answers.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : []));
  const [signedIn, me, turned, stolen, refused] = documents;
  assert.equal(documents.length, 5, answers);
  assert.equal(signedIn.user.username, "admin");
  assert.equal(me.username, "admin");
  assert.match(turned.refreshToken, /^krt_/);
  assert.deepEqual([stolen.error, stolen.reason], ["invalid_refresh_token", "reused"]);
  assert.equal(refused.error, "invalid_token");
  assert.match(answers, new RegExp(signedIn.sessionId));
  assert.match(answers, /Refresh token 0 was used again.*Somebody holds a copy/);
  assert.match(answers, /Over: an old refresh token was used again\./);
});

test("the second start prints no password", async () => {
  const again = stage.start(keyturnScript, ["serve"], { environment });
  await again.says(/listens on/);
  const { code, stdout, stderr } = await again.stop();
  assert.equal(code, 0);
  assert.doesNotMatch(stdout, /password|curl/);
  assert.match(stderr, /for development only/);
});
