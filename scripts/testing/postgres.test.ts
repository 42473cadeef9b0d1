import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";

const source = `
import { startPostgres } from ${JSON.stringify(path.join(import.meta.dirname, "postgres.ts"))};
const server = await startPostgres();
console.log(new URL(server.url).port);
process.stdin.once("data", async () => { await server.stop(); process.exit(); });
`;

for (const [how, argument] of [
  ["stopped", "stop"],
  ["killed with its run", "kill"],
] as const) {
  test(`a PostgreSQL that is ${how} leaves neither process nor folder`, { timeout: 90_000 }, async (t) => {
    const place = fs.mkdtempSync(path.join(tmpdir(), "keyturn-place-"));
    fs.chmodSync(place, 0o1777);
    t.after(() => fs.rmSync(place, { recursive: true, force: true }));
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", source], {
      env: { ...process.env, TMPDIR: place },
      stdio: ["pipe", "pipe", "inherit"],
    });
    const [port] = await once(child.stdout, "data");
    assert.match(String(port), /^\d+\n$/);
    assert.equal(fs.readdirSync(place).length, 1);
    const ended = once(child, "exit");
    if (argument === "kill") child.kill("SIGKILL");
    else child.stdin.write("stop");
    await ended;
    // The keeper sees the end of its input and cleans up; it may take a moment after a kill.
    for (let turns = 0; turns < 100 && fs.readdirSync(place).length > 0; turns++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.deepEqual(fs.readdirSync(place), []);
  });
}
