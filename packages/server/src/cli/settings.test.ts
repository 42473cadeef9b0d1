import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { WrongSetting } from "../config.ts";
import { loadSettings, type SettingsSources } from "./settings.ts";

const SECRET = "dGhpcyBpcyBhIHNlY3JldCB0aGF0IG5vYm9keSBtdXN0IHNlZQ";
const root = mkdtempSync(join(tmpdir(), "keyturn-settings-"));
after(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;

/** A folder of its own with these files. */
function folderWith(files: Readonly<Record<string, string>> = {}): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

function load(sources: Omit<SettingsSources, "folder"> & { files?: Readonly<Record<string, string>> }) {
  const { files, ...rest } = sources;
  return loadSettings({ environment: {}, ...rest, folder: folderWith(files) });
}

async function wrong(sources: Parameters<typeof load>[0]): Promise<string> {
  const error = await load(sources).then(
    () => assert.fail("the settings were taken"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof WrongSetting, String(error));
  assert.ok(!error.message.includes(SECRET.slice(0, 8)), "the line shows a secret");
  return error.message;
}

test("without a file or variables every setting has its default", async () => {
  const { settings, unknownVariables } = await load({});
  assert.equal(settings.port, 3000);
  assert.equal(settings.issuer, "http://localhost:3000");
  assert.equal(settings.database, "sqlite:./data/keyturn.db");
  assert.deepEqual(unknownVariables, []);
});

test("the file is overridden by the environment, the environment by the command line", async () => {
  const files = { "keyturn.config.json": '\ufeff{ "port": 1001, "host": "127.0.0.2", "auditDays": 7 }' };
  assert.equal((await load({ files })).settings.port, 1001);
  const environment = { PORT: "1002", HOST: "127.0.0.3", KEYTURN_LOG_LEVEL: "debug" };
  const { settings } = await load({ files, environment, port: "1003" });
  assert.deepEqual(
    [settings.port, settings.host, settings.auditDays, settings.logLevel],
    [1003, "127.0.0.3", 7, "debug"],
  );
});

test("a TypeScript file gives its default export", async () => {
  const text = "const port: number = 1004;\nexport default { port, issuer: `https://id.example.com` };\n";
  const { settings } = await load({ files: { "keyturn.config.ts": text } });
  assert.deepEqual([settings.port, settings.issuer], [1004, "https://id.example.com"]);
});

test("a TypeScript file gives hooks, the few functions, by an export of that name", async () => {
  const text = "export default {};\nexport const hooks = { placeOf: (ip: string) => 'near ' + ip };\n";
  const { hooks } = await load({ files: { "keyturn.config.ts": text } });
  assert.equal(await hooks.placeOf?.("192.0.2.1"), "near 192.0.2.1");
  assert.deepEqual((await load({ files: {} })).hooks, {});
});

test("allowedOrigins takes a list in a file and commas in the environment, and nothing that is no origin", async () => {
  const origins = ["https://app.example.com", "http://localhost:5173"];
  const file = JSON.stringify({ allowedOrigins: origins });
  const fromFile = await load({ files: { "keyturn.config.json": file } });
  assert.deepEqual(fromFile.settings.allowedOrigins, origins);
  const environment = { KEYTURN_ALLOWED_ORIGINS: origins.join(", ") };
  assert.deepEqual((await load({ environment })).settings.allowedOrigins, origins);
  for (const text of [
    "*",
    "null",
    "https://app.example.com/",
    "http://app.example.com",
    "app.example.com",
    ",",
  ]) {
    assert.match(
      await wrong({ environment: { KEYTURN_ALLOWED_ORIGINS: text } }),
      /^KEYTURN_ALLOWED_ORIGINS is .+; it takes origins like/,
    );
  }
});

test("passwordCharactersMin is 8 to 64", async () => {
  assert.equal((await load({})).settings.passwordCharactersMin, 8);
  const environment = { KEYTURN_PASSWORD_CHARACTERS_MIN: "15" };
  assert.equal((await load({ environment })).settings.passwordCharactersMin, 15);
  for (const text of ["7", "65", "8.5", "-15", "many"]) {
    const says = await wrong({ environment: { KEYTURN_PASSWORD_CHARACTERS_MIN: text } });
    assert.match(says, /^KEYTURN_PASSWORD_CHARACTERS_MIN is .+; it takes a whole number of characters/);
  }
});

test("breachedPasswords takes local or the beginning of https addresses, and nothing that would fail quietly", async () => {
  assert.equal((await load({})).settings.breachedPasswords, "local");
  const address = "https://api.pwnedpasswords.com/range/";
  const { settings } = await load({ environment: { KEYTURN_BREACHED_PASSWORDS: address } });
  assert.equal(settings.breachedPasswords, address);
  const own = {
    KEYTURN_BREACHED_PASSWORDS: "http://127.0.0.1:8080/",
    KEYTURN_PRIVATE_HOSTS: "127.0.0.1:8080",
  };
  assert.equal((await load({ environment: own })).settings.breachedPasswords, "http://127.0.0.1:8080/");
  for (const text of [
    "remote",
    "https://api.pwnedpasswords.com/range",
    "https://api.pwnedpasswords.com/range/?mode=ntlm/",
    "https://api.pwnedpasswords.com/range/#/",
    "https://name:secret@ranges.example/",
    "http://ranges.example/",
    "http://127.0.0.1:8080/",
    "ftp://ranges.example/",
  ]) {
    assert.match(
      await wrong({ environment: { KEYTURN_BREACHED_PASSWORDS: text } }),
      /^KEYTURN_BREACHED_PASSWORDS is .+; it takes local, or the beginning of an https address/,
      text,
    );
  }
});

test("--config names another file", async () => {
  const { settings } = await load({ config: "other.json", files: { "other.json": '{ "port": 1005 }' } });
  assert.equal(settings.port, 1005);
});

test("an empty variable counts as not set", async () => {
  assert.equal((await load({ environment: { PORT: "", KEYTURN_SECRET: "" } })).settings.port, 3000);
});

test("a text setting keeps digits as text", async () => {
  assert.equal((await load({ environment: { KEYTURN_AUDIENCE: "0123" } })).settings.audience, "0123");
});

test("a variable that looks like a setting and is none is told", async () => {
  const environment = { KEYTURN_ISUER: "x", KEYTURN_TEST_DATABASE: "sqlite", KEYTURN_DATA: "d" };
  assert.deepEqual((await load({ environment })).unknownVariables, ["KEYTURN_ISUER"]);
});

const wrongOnes: readonly [string, Parameters<typeof load>[0], RegExp][] = [
  ["a port that is a word", { environment: { PORT: "http" } }, /^PORT is "http"; it takes a whole number/],
  ["a number with a space", { environment: { PORT: "3000 " } }, /^PORT is "3000 "; it takes/],
  ["a number in hexadecimal", { environment: { PORT: "0x10" } }, /^PORT is "0x10"; it takes/],
  ["a number with an exponent", { environment: { PORT: "1e3" } }, /^PORT is "1e3"; it takes/],
  [
    "a number with a fraction",
    { environment: { KEYTURN_REFRESH_GRACE_SECONDS: "1.5" } },
    /^KEYTURN_REFRESH_GRACE_SECONDS is "1.5"/,
  ],
  ["a number with a leading zero", { environment: { PORT: "0080" } }, /^PORT is "0080"/],
  ["a number below zero", { environment: { PORT: "-1" } }, /^PORT is "-1"/],
  [
    "a port out of bounds",
    { environment: { PORT: "65536" } },
    /^PORT is 65536; it takes a whole number from 0 to 65535\.$/,
  ],
  ["an option", { port: "abc" }, /^--port is "abc"; it takes/],
  [
    "plain http for a public issuer",
    { environment: { KEYTURN_ISSUER: "http://id.example.com" } },
    /^KEYTURN_ISSUER is "http:\/\/id\.example\.com"; it takes an https address/,
  ],
  [
    "an issuer with a trailing slash",
    { environment: { KEYTURN_ISSUER: "https://id.example.com/" } },
    /^KEYTURN_ISSUER is /,
  ],
  [
    "another engine",
    { environment: { KEYTURN_DATABASE: `mysql://u:${SECRET}@h/d` } },
    /^KEYTURN_DATABASE is a wrong value \(not shown\); it takes sqlite:PATH/,
  ],
  [
    "a secret of a wrong type",
    { files: { "keyturn.config.json": `{ "secret": ["${SECRET}"] }` } },
    /^keyturn\.config\.json: secret is a wrong value \(not shown\)/,
  ],
  [
    "a choice that does not exist",
    { environment: { KEYTURN_REGISTRATION: "maybe" } },
    /^KEYTURN_REGISTRATION is "maybe"; it takes open or off\.$/,
  ],
  [
    "a text for a number in a file",
    { files: { "keyturn.config.json": '{ "port": "3000" }' } },
    /^keyturn\.config\.json: port is "3000"; it takes/,
  ],
  ["an unknown setting", { files: { "keyturn.config.json": '{ "prot": 1 }' } }, /^There is no setting prot;/],
  [
    "idle longer than absolute",
    { environment: { KEYTURN_APP_IDLE_SECONDS: "600", KEYTURN_APP_ABSOLUTE_SECONDS: "300" } },
    /^KEYTURN_APP_IDLE_SECONDS is 600, more than KEYTURN_APP_ABSOLUTE_SECONDS \(300\)/,
  ],
];
for (const [name, sources, line] of wrongOnes) {
  test(`one line names the setting, what it got and what it takes: ${name}`, async () => {
    const message = await wrong(sources);
    assert.match(message, line);
    assert.equal(message.split("\n").length, 1);
  });
}

test("two wrong settings are two lines", async () => {
  const message = await wrong({ environment: { PORT: "x", KEYTURN_METRICS: "y" } });
  assert.deepEqual(
    message
      .split("\n")
      .map((line) => line.split(" ")[0])
      .sort(),
    ["KEYTURN_METRICS", "PORT"],
  );
});

const brokenFiles: readonly [string, string, string, RegExp][] = [
  [
    "JSON that ends too early",
    "keyturn.config.json",
    `{ "secret": "${SECRET}"`,
    /^keyturn\.config\.json is not valid JSON/,
  ],
  [
    "JSON with a slip",
    "keyturn.config.json",
    `{\n  "port": 1,\n  "secret" "${SECRET}"\n}`,
    /^keyturn\.config\.json is not valid JSON \(line 3, column 12\)\.$/,
  ],
  ["an empty file", "keyturn.config.json", "", /^keyturn\.config\.json is not valid JSON/],
  ["a list", "keyturn.config.json", "[]", /^keyturn\.config\.json holds no object/],
  ["null", "keyturn.config.json", "null", /^keyturn\.config\.json holds no object/],
  [
    "TypeScript with a slip",
    "keyturn.config.ts",
    `export default { secret: "${SECRET}" `,
    /^keyturn\.config\.ts cannot be loaded: it has a syntax error \(line 1\)\.$/,
  ],
  [
    "TypeScript that Node cannot strip",
    "keyturn.config.ts",
    "enum A { B }\nexport default {};",
    /^keyturn\.config\.ts cannot be loaded: /,
  ],
  [
    "no default export",
    "keyturn.config.ts",
    "export const port = 1;",
    /^keyturn\.config\.ts holds no object/,
  ],
  ["a function", "keyturn.config.ts", "export default () => ({});", /^keyturn\.config\.ts holds no object/],
  [
    "an import that is not there",
    "keyturn.config.ts",
    'import "./nowhere.ts";\nexport default {};',
    /^keyturn\.config\.ts cannot be loaded: it imports/,
  ],
  [
    "a hook that there is not",
    "keyturn.config.ts",
    "export default {};\nexport const hooks = { place: () => undefined };",
    /^There is no hook place; there is placeOf, mailTexts\.$/,
  ],
  [
    "a hook that is no function",
    "keyturn.config.ts",
    'export default {};\nexport const hooks = { placeOf: "Vienna" };',
    /^The hook placeOf takes a function\.$/,
  ],
  [
    "a throw",
    "keyturn.config.ts",
    'throw new Error("no network");',
    /^keyturn\.config\.ts cannot be loaded: it throws Error: no network\.$/,
  ],
];
for (const [name, file, text, line] of brokenFiles) {
  test(`a broken settings file is one line: ${name}`, async () => {
    const message = await wrong({ files: { [file]: text } });
    assert.match(message, line);
    assert.equal(message.split("\n").length, 1);
  });
}

test("a file that was named and is not there, or is a folder, is one line", async () => {
  assert.match(await wrong({ config: "nowhere.json" }), /^--config is nowhere\.json, which does not exist/);
  assert.match(await wrong({ config: "." }), /^\. is a folder/);
});

test("two settings files in one folder are refused: which one counts would be a guess", async () => {
  const files = { "keyturn.config.json": "{}", "keyturn.config.ts": "export default {};" };
  assert.match(await wrong({ files }), /^There are two settings files/);
});

test("restoreWindowUntil reaches at most 48 hours ahead: nobody should forget it open", async () => {
  const at = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();
  const file = (until: string) => ({
    files: { "keyturn.config.json": JSON.stringify({ restoreWindowUntil: until }) },
  });
  assert.match(
    await wrong(file(at(49))),
    /restoreWindowUntil is .*; it takes a time like .*, at most 48 hours ahead\.$/,
  );
  await assert.rejects(wrong(file(at(47))));
});
