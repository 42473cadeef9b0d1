import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import packed from "@sparticuz/chromium";
import { type Browser, chromium } from "playwright-core";
import manifest from "../package.json" with { type: "json" };

/**
 * A real Chromium. On Linux it comes as an npm package and is unpacked into the temporary folder once (two seconds);
 * elsewhere the Chrome of the machine is taken. KEYTURN_TEST_CHROMIUM names another one.
 */
export function launchChromium(): Promise<Browser> {
  const own = process.env.KEYTURN_TEST_CHROMIUM;
  if (own !== undefined) return chromium.launch({ executablePath: own, args });
  if (process.platform !== "linux") return chromium.launch({ channel: "chrome", args });
  return launchPacked();
}

/**
 * Not the flags that the package proposes: among them are --single-process, in which tabs are no processes of their
 * own, and --disable-web-security, with which a browser test would prove nothing about origins.
 */
const args = [
  // Its sandbox does not start for root, which is who runs tests in a container.
  "--no-sandbox",
  "--font-render-hinting=none",
  "--disable-lcd-text",
];

async function launchPacked(): Promise<Browser> {
  const folder = await unpack();
  return chromium.launch({
    executablePath: path.join(folder, "chromium"),
    args,
    env: { ...process.env, FONTCONFIG_FILE: path.join(folder, "fonts.conf") },
  });
}

/** Test files run side by side: each unpacks into a folder of its own, and the first to be ready gives its to all. */
async function unpack(): Promise<string> {
  const folder = path.join(tmpdir(), `keyturn-chromium-${manifest.devDependencies["@sparticuz/chromium"]}`);
  if (fs.existsSync(folder)) return folder;
  const unpacking = fs.mkdtempSync(`${folder}-`);
  const { TMPDIR } = process.env;
  try {
    // The package knows no other way to be told where.
    process.env.TMPDIR = unpacking;
    await packed.executablePath();
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  }
  fs.writeFileSync(path.join(unpacking, "fonts.conf"), fontSettings(folder));
  try {
    fs.renameSync(unpacking, folder);
  } catch (error) {
    fs.rmSync(unpacking, { recursive: true, force: true });
    if (!fs.existsSync(folder)) throw error;
  }
  return folder;
}

const fontSettings = (folder: string) => `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>${folder}/fonts</dir>
  <cachedir>${folder}/fonts-cache</cachedir>
</fontconfig>
`;
