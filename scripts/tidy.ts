import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

/** Something that may not land: in which files, what it looks like, and what to do instead. */
interface Rule {
  readonly files: RegExp;
  readonly except?: RegExp;
  readonly pattern: RegExp;
  readonly advice: string;
}

const linesMax = 300;
const bytesMax = 400_000;

const code = /\.(?:[cm]?[jt]sx?|sh)$/;
const server = /^packages\/server\/src\//;
const testCode = /(?:\.test\.ts|(?:^|\/)test-[^/]+\.ts)$/;
const packageCode = /^packages\/[^/]+\/src\/.*\.ts$/;

const rules: readonly Rule[] = [
  { files: /./, pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/, advice: "do it now, or write an issue" },
  {
    files: code,
    pattern: /\b(?:test|it|describe|suite)\.only\(|\bonly: true\b/,
    advice: "it would skip every other test",
  },
  { files: /./, pattern: /(?:^|[\s"'`(=:])\/(?:work|root|home|Users)\/\w/, advice: "no path of one machine" },
  {
    files: /./,
    pattern:
      /https?:\/\/[\w.-]*(?:registry\.\w+|npmjs\.(?:org|com)\/.*\.tgz|artifactory|verdaccio|npmmirror)/i,
    advice: "no package registry's address: where packages come from is the reader's own setting",
  },
  {
    files: packageCode,
    except: testCode,
    pattern: /(?<!await |return |=> |\()\bimport\(\s*["']/,
    advice: "name the type in an `import type` line: the walls do not see one inside a type",
  },
  {
    files: /^packages\/server\/src\/sessions\//,
    except: testCode,
    pattern: /^import (?!type ).*["']\.\.\/clients\//,
    advice: "sessions may name the types of clients, not call them",
  },
  {
    files: server,
    except: /\/primitives\/clock\.ts$|\.test\.ts$|\/test-[^/]+\.ts$/,
    pattern: /\bDate\.now\(|\bnew Date\(\)/,
    advice: "take the time from primitives/clock.ts",
  },
  {
    files: packageCode,
    except: testCode,
    pattern: /\bMath\.random\(/,
    advice: "it can be guessed: take primitives/random.ts",
  },
  {
    files: packageCode,
    pattern: /@ts-(?:ignore|nocheck)|\bbiome-ignore-all\b/,
    advice: "say what is wrong by @ts-expect-error or biome-ignore, on one line, with the reason",
  },
];

/** Names that say nothing: a thing goes where its subject is. */
const emptyNames = /(?:^|\/)(?:utils?|helpers?|common|lib|shared|misc)(?:\/|\.[jt]s$)/;

/** The rules' own words stand here. */
const self = /^scripts\/tidy(?:\.test)?\.ts$/;
const generated =
  /^(?:package-lock\.json$|LICENSE$|docs\/generated\/|bench\/results\/|packages\/server\/lists\/)/;

/** What is wrong with one file, a line a finding. */
export function inspectFile(file: string, text: string): string[] {
  if (self.test(file) || generated.test(file)) return [];
  const lines = text.split("\n");
  const findings: string[] = [];
  if (emptyNames.test(file) && code.test(file)) findings.push(`${file}: name it after what it does`);
  if (packageCode.test(file) && !testCode.test(file) && lines.length - 1 > linesMax) {
    findings.push(`${file}: ${lines.length - 1} lines; more than ${linesMax} want to be two files`);
  }
  for (const { files, except, pattern, advice } of rules) {
    if (!files.test(file) || except?.test(file)) continue;
    for (const [index, line] of lines.entries()) {
      if (pattern.test(line)) findings.push(`${file}:${index + 1}: ${line.trim().slice(0, 100)} (${advice})`);
    }
  }
  return findings;
}

/** The findings in every file that git has, or would take. */
export function inspectRepository(root: string): string[] {
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const listed = spawnSync("git", args, { cwd: root, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  if (listed.status !== 0) throw new Error(`tidy needs git and a git repository: ${listed.stderr}`);
  return listed.stdout.split("\0").flatMap((file) => {
    const full = path.join(root, file);
    if (file === "" || !fs.existsSync(full) || !fs.lstatSync(full).isFile()) return [];
    const content = fs.readFileSync(full);
    if (content.length > bytesMax && !generated.test(file)) {
      return [`${file}: ${content.length} bytes; more than ${bytesMax} do not belong here`];
    }
    return content.includes(0) ? [] : inspectFile(file, content.toString("utf8"));
  });
}

if (import.meta.main) {
  const findings = inspectRepository(path.resolve(import.meta.dirname, ".."));
  for (const finding of findings) console.error(finding);
  process.exitCode = findings.length > 0 ? 1 : 0;
}
