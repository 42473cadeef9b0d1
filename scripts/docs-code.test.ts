import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";

const root = path.resolve(import.meta.dirname, "..");
const documents = ["README.md", "packages/*/README.md", "docs/*.md", "examples/*/README.md"];

/** What an example may take from the text around it. */
const fromTheText = `
import type { Guard } from "@keyturn/guard";
import type { Keyturn } from "keyturn";
declare global {
  const guard: Guard;
  const keyturn: Keyturn;
  const token: string;
}
`;

interface Block {
  /** As in docs/embedding.md:12. */
  readonly where: string;
  readonly text: string;
}

/** The TypeScript of a document: what stands between \`\`\`ts and \`\`\`. */
function blocksOf(file: string): Block[] {
  const text = fs.readFileSync(path.join(root, file), "utf8");
  return [...text.matchAll(/^```(?:ts|typescript)\n(.*?)^```$/gms)].map((match) => ({
    where: `${file}:${text.slice(0, match.index).split("\n").length + 1}`,
    text: match[1] ?? "",
  }));
}

/** The compiler's complaints about the blocks, each as a module of its own. The folder is in node_modules' reach. */
function complaints(blocks: readonly Block[]): string[] {
  fs.mkdirSync(path.join(root, ".setup"), { recursive: true });
  const folder = fs.mkdtempSync(path.join(root, ".setup", "docs-code-"));
  try {
    const compilerOptions = { noEmit: true, lib: ["es2024", "dom"] };
    const settings = { extends: "../../tsconfig.base.json", compilerOptions, include: ["*.ts"] };
    fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(settings));
    fs.writeFileSync(path.join(folder, "text.d.ts"), fromTheText);
    for (const [index, { text }] of blocks.entries()) {
      fs.writeFileSync(path.join(folder, `block-${index}.ts`), `${text}\nexport {};\n`);
    }
    const tsc = path.join(root, "node_modules", ".bin", "tsc");
    const result = spawnSync(tsc, ["-p", folder, "--pretty", "false"], { cwd: folder, encoding: "utf8" });
    const lines = `${result.stdout}${result.stderr}`.split("\n").filter((line) => line !== "");
    return lines.map((line) =>
      line.replace(/^block-(\d+)\.ts/, (_, index) => blocks[Number(index)]?.where ?? ""),
    );
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

test("every TypeScript example in the documents compiles; one that does not is named by document and line", () => {
  const blocks = fs.globSync(documents, { cwd: root }).sort().flatMap(blocksOf);
  assert.ok(blocks.length >= 8, "the documents have examples");
  const wrong = { where: "docs/wrong.md:7", text: "guard.verifi(token);\n" };
  const [complaint, ...others] = complaints([wrong, ...blocks]);
  assert.match(complaint ?? "", /^docs\/wrong\.md:7\(1,7\): error TS\d+/);
  assert.deepEqual(others, []);
});

test("every link in the documents to a file of the repository finds it", () => {
  const pages = [...documents, "*.md", "docs/**/*.md"];
  const broken = [...new Set(fs.globSync(pages, { cwd: root }))].flatMap((file) => {
    const text = fs.readFileSync(path.join(root, file), "utf8");
    return [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)/g)]
      .filter(([, target = ""]) => !fs.existsSync(path.resolve(root, path.dirname(file), target)))
      .map(([, target]) => `${file}: ${target}`);
  });
  assert.deepEqual(broken, []);
});
