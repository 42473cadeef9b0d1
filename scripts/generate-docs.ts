import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createApp } from "../packages/server/src/app.ts";
import type { Endpoint } from "../packages/server/src/http/endpoint.ts";
import type { Page } from "../packages/server/src/http/page.ts";
import { commandsPage } from "./docs/commands.ts";
import { endpointsPage } from "./docs/endpoints.ts";
import { errorsPage } from "./docs/errors.ts";
import { settingsPage } from "./docs/settings.ts";

const root = path.resolve(import.meta.dirname, "..");

/** The rows of the URL map, from an app on a database that is thrown away. Nothing listens. */
async function rowsOfApp(): Promise<{ endpoints: readonly Endpoint[]; pages: readonly Page[] }> {
  const data = fs.mkdtempSync(path.join(os.tmpdir(), "keyturn-docs-"));
  try {
    const app = await createApp({ data, logLevel: "silent" });
    await app.close();
    return app;
  } finally {
    fs.rmSync(data, { recursive: true, force: true });
  }
}

/** Tables with aligned columns, as `npm run check` wants them. */
function formatted(file: string, text: string): string {
  const biome = path.join(root, "node_modules", ".bin", "biome");
  const result = spawnSync(biome, ["format", `--stdin-file-path=${file}`], {
    cwd: root,
    encoding: "utf8",
    input: text,
  });
  if (result.status !== 0) throw new Error(`biome could not format ${file}: ${result.stderr}`);
  return result.stdout;
}

/** Every generated page by its file, relative to the repository. The same input gives the same bytes. */
export async function generatePages(): Promise<ReadonlyMap<string, string>> {
  const rows = await rowsOfApp();
  const pages: [file: string, text: string][] = [
    ["docs/settings.md", settingsPage()],
    ["docs/errors.md", errorsPage(rows.endpoints)],
    ["docs/endpoints.md", endpointsPage(rows.endpoints, rows.pages)],
    ["docs/commands.md", commandsPage()],
  ];
  return new Map(pages.map(([file, text]) => [file, formatted(file, text)]));
}

/** The files below `folder` that are not what their sources say. */
export function stalePages(pages: ReadonlyMap<string, string>, folder: string): string[] {
  return [...pages].flatMap(([file, text]) => {
    const full = path.join(folder, file);
    return fs.existsSync(full) && fs.readFileSync(full, "utf8") === text ? [] : [file];
  });
}

if (import.meta.main) {
  const pages = await generatePages();
  const stale = stalePages(pages, root);
  if (process.argv.includes("--check")) {
    for (const file of stale) console.error(`${file} is stale: run npm run docs, and commit what it writes.`);
    process.exitCode = stale.length > 0 ? 1 : 0;
  } else {
    for (const file of stale) fs.writeFileSync(path.join(root, file), pages.get(file) ?? "");
    console.log(stale.length === 0 ? "Every generated page is up to date." : `Written: ${stale.join(", ")}`);
  }
}
