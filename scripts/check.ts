import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";

/** One thing to check: its commands run one after the other, the first that fails ends it. */
interface Check {
  readonly name: string;
  readonly commands: readonly (readonly string[])[];
}

interface Outcome {
  readonly name: string;
  readonly passed: boolean;
  readonly milliseconds: number;
  readonly output: string;
}

const root = path.resolve(import.meta.dirname, "..");
const concurrency = 2;
const outputMax = 200_000;

/** The packages that are published: these must also be fit for it. */
function publishedPackages(): string[] {
  return fs.readdirSync(path.join(root, "packages")).filter((name) => {
    const file = path.join(root, "packages", name, "package.json");
    return fs.existsSync(file) && JSON.parse(fs.readFileSync(file, "utf8")).private !== true;
  });
}

function listChecks(): Check[] {
  const published = publishedPackages().map((name) => `packages/${name}`);
  const checks: Check[] = [
    {
      name: "packages",
      commands: [
        ["node", "scripts/build.ts"],
        ...published.map((folder) => ["publint", "--strict", folder]),
        ...published.map((folder) => [
          "attw",
          "--pack",
          folder,
          "--profile",
          "esm-only",
          "--format",
          "ascii",
        ]),
      ],
    },
    {
      name: "types",
      commands: [
        ["tsc", "-p", "tsconfig.json"],
        ["tsc", "-p", "packages/client/tsconfig.json"],
        // What runs in a tab stands in these tests: only they may name the DOM.
        ["tsc", "-p", "tests/browser/tsconfig.json"],
      ],
    },
    { name: "lint", commands: [["biome", "check", "--error-on-warnings", "--max-diagnostics=100", "."]] },
    {
      name: "walls",
      commands: [["depcruise", "--config", ".dependency-cruiser.cjs", "packages", "tests", "scripts"]],
    },
    { name: "unused", commands: [["knip", "--no-progress"]] },
    { name: "tidy", commands: [["node", "scripts/tidy.ts"]] },
  ];
  if (fs.existsSync(path.join(root, "scripts", "generate-docs.ts"))) {
    const flags = ["--conditions=keyturn-source", "--disable-warning=ExperimentalWarning"];
    checks.push({ name: "docs", commands: [["node", ...flags, "scripts/generate-docs.ts", "--check"]] });
  }
  return checks;
}

async function runCommand(command: readonly string[]): Promise<{ passed: boolean; output: string }> {
  const [program = "", ...args] = command;
  const own = program === "node" ? process.execPath : path.join(root, "node_modules", ".bin", program);
  const child = spawn(own, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-outputMax);
    });
  }
  const [code] = await once(child, "close");
  return { passed: code === 0, output: code === 0 ? "" : `$ ${command.join(" ")}\n${output}` };
}

async function runCheck({ name, commands }: Check): Promise<Outcome> {
  const startedAt = performance.now();
  let output = "";
  for (const command of commands) {
    const result = await runCommand(command);
    output += result.output;
    // The packages' later commands look at what the first one built; the others stand for themselves.
    if (!result.passed && command === commands[0]) break;
  }
  return { name, passed: output === "", milliseconds: performance.now() - startedAt, output };
}

async function main(): Promise<number> {
  const wanted = process.argv.slice(2);
  const all = listChecks();
  const unknown = wanted.find((name) => all.every((check) => check.name !== name));
  if (unknown !== undefined) {
    console.error(`No check is called "${unknown}"; say some of: ${all.map(({ name }) => name).join(", ")}.`);
    return 1;
  }
  const queue = all.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
  const outcomes: Outcome[] = [];
  const work = async () => {
    for (let check = queue.shift(); check !== undefined; check = queue.shift()) {
      const outcome = await runCheck(check);
      outcomes.push(outcome);
      console.log(
        `${outcome.passed ? "✔" : "✖"} ${outcome.name}  ${(outcome.milliseconds / 1000).toFixed(1)} s`,
      );
      if (!outcome.passed) console.log(outcome.output.replaceAll(/^/gm, "  "));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const failed = outcomes.filter(({ passed }) => !passed).map(({ name }) => name);
  console.log(failed.length === 0 ? "Everything is in order." : `To mend: ${failed.join(", ")}.`);
  return failed.length === 0 ? 0 : 1;
}

process.exitCode = await main();
