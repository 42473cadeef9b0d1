import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseSettings } from "../../../config.ts";
import type { SettingsInput } from "../../../config-schema.ts";
import { systemClock } from "../../../primitives/clock.ts";
import { testEngine } from "../../../storage/test-database.ts";
import { openTestRooms } from "../test-rooms.ts";
import { diagnose } from "./diagnose.ts";
import type { Finding } from "./finding.ts";

const NOBODY = "http://127.0.0.1:1";

async function diagnosed(input: SettingsInput): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const finding of diagnose(parseSettings({ issuer: NOBODY, ...input }), systemClock))
    findings.push(finding);
  return findings;
}

const fails = (findings: readonly Finding[]) => findings.filter(({ state }) => state === "fail");
const find = (findings: readonly Finding[], check: string, text: RegExp) =>
  findings.find((finding) => finding.check === check && text.test(finding.text))?.state;

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "keyturn-doctor-"));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("a server whose keys are made has nothing but its issuer to be told of", async () => {
  const rooms = await openTestRooms();
  try {
    await rooms.signingKeys.start();
    const findings = await diagnosed(rooms.input);
    assert.deepEqual(fails(findings), []);
    assert.equal(find(findings, "keys", /2 published, all open and in order/), "ok");
    assert.equal(find(findings, "tables", /up to date/), "ok");
    assert.equal(find(findings, "database", /takes writes/), "ok");
    assert.equal(find(findings, "clock", /agree/), testEngine === "postgres" ? "ok" : undefined);
    assert.equal(find(findings, "issuer", /for development only/), "warn");
    assert.equal(find(findings, "issuer", /does not answer from here/), "warn");
  } finally {
    await rooms.close();
  }
});

test("another secret than the one that closed the keys, and none at all, are fails", async () => {
  const rooms = await openTestRooms();
  try {
    await rooms.signingKeys.start();
    const other = await diagnosed({ ...rooms.input, secret: "A".repeat(43) });
    assert.match(fails(other)[0]?.text ?? "", /no master secret opens the current signing key/);
    const { secret: _, ...without } = rooms.input;
    assert.match(
      fails(await diagnosed(without))[0]?.text ?? "",
      /cannot be opened without the master secret/,
    );
  } finally {
    await rooms.close();
  }
});

test("nothing is made where there is nothing yet", () =>
  inFolder(async (folder) => {
    const findings = await diagnosed({ data: join(folder, "data") });
    assert.deepEqual(fails(findings), []);
    assert.equal(find(findings, "database", /the first start makes it/), "warn");
    assert.equal(find(findings, "secret", /the first start makes it/), "warn");
    assert.deepEqual(readdirSync(folder), []);
  }));

test("what is no database of ours is a fail, and stays as it was byte for byte", () =>
  inFolder(async (folder) => {
    const file = join(folder, "keyturn.db");
    for (const content of ["", "Dear database, ".repeat(100)]) {
      writeFileSync(file, content);
      const findings = await diagnosed({ data: folder, database: `sqlite:${file}` });
      assert.equal(find(findings, "database", /no database that Keyturn made/), "fail");
      assert.equal(readFileSync(file, "utf8"), content);
      assert.deepEqual(readdirSync(folder), ["keyturn.db"]);
    }
    const missing = await diagnosed({ data: folder, database: `sqlite:${folder}` });
    assert.equal(find(missing, "database", /is not a file/), "fail");
  }));

test("files that others can read: the secret's is a fail, the folder and the database are warnings", async () => {
  const rooms = await openTestRooms();
  try {
    const { data = "" } = rooms.input;
    chmodSync(data, 0o755);
    const { secret: _, ...without } = rooms.input;
    writeFileSync(join(data, "secret"), `${"A".repeat(43)}\n`);
    chmodSync(join(data, "secret"), 0o644);
    const file = rooms.settings.database.replace(/^sqlite:/, "");
    if (testEngine === "sqlite") chmodSync(file, 0o644);
    const findings = await diagnosed(without);
    assert.equal(find(findings, "secret", /can be read by others/), "fail");
    assert.equal(find(findings, "data folder", /chmod 700/), "warn");
    assert.equal(find(findings, "database", /chmod 600/), testEngine === "sqlite" ? "warn" : undefined);
    assert.equal(statSync(data).mode & 0o777, 0o755, "nothing was changed");
  } finally {
    await rooms.close();
  }
});

test("a data folder that is a file is a fail", () =>
  inFolder(async (folder) => {
    writeFileSync(join(folder, "data"), "");
    assert.equal(
      find(await diagnosed({ data: join(folder, "data") }), "data folder", /not a folder/),
      "fail",
    );
  }));

test("an unreachable PostgreSQL is a fail, without its password", () =>
  inFolder(async (folder) => {
    const findings = await diagnosed({ data: folder, database: "postgres://u:hunter2@127.0.0.1:1/x" });
    assert.equal(find(findings, "database", /nothing answers there/), "fail");
    assert.ok(!JSON.stringify(findings).includes("hunter2"));
  }));

test("the issuer's address must answer with the same issuer", () =>
  inFolder(async (folder) => {
    let answer = "{}";
    const server = createServer((_request, response) => response.end(answer));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      assert.equal(find(await diagnosed({ data: folder, issuer }), "issuer", /names another issuer/), "warn");
      answer = JSON.stringify({ issuer });
      assert.equal(find(await diagnosed({ data: folder, issuer }), "issuer", / answers$/), "ok");
      answer = "<html>";
      assert.equal(find(await diagnosed({ data: folder, issuer }), "issuer", /does not answer/), "warn");
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }));

test("an open restore window and an issuer that only this machine can reach are warnings", () =>
  inFolder(async (folder) => {
    const restoreWindowUntil = new Date(systemClock.now() + 60_000).toISOString();
    const findings = await diagnosed({ data: folder, host: "0.0.0.0", restoreWindowUntil });
    assert.equal(find(findings, "settings", /restore window is open/), "warn");
    assert.equal(find(findings, "issuer", /names this machine only/), "warn");
  }));
