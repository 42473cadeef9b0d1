import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";

const root = path.resolve(import.meta.dirname, "..");
const page = "docs/security-requirements.md";

/** OWASP ASVS 5.0, chapters V3, V6, V7, V9 and V10: section, then each requirement with its level. */
const required = `
  3.1 1:3
  3.2 1:1 2:1 3:3
  3.3 1:1 2:2 3:2 4:2 5:3
  3.4 1:1 2:1 3:2 4:2 5:2 6:2 7:3 8:3
  3.5 1:1 2:1 3:1 4:2 5:2 6:3 7:3 8:3
  3.6 1:3
  3.7 1:2 2:2 3:3 4:3 5:3
  6.1 1:1 2:2 3:2
  6.2 1:1 2:1 3:1 4:1 5:1 6:1 7:1 8:1 9:2 10:2 11:2 12:2
  6.3 1:1 2:1 3:2 4:2 5:3 6:3 7:3 8:3
  6.4 1:1 2:1 3:2 4:2 5:3 6:3
  6.5 1:2 2:2 3:2 4:2 5:2 6:3 7:3 8:3
  6.6 1:2 2:2 3:2 4:3
  6.7 1:3 2:3
  6.8 1:2 2:2 3:2 4:2
  7.1 1:2 2:2 3:2
  7.2 1:1 2:1 3:1 4:1
  7.3 1:2 2:2
  7.4 1:1 2:1 3:2 4:2 5:2
  7.5 1:2 2:2 3:3
  7.6 1:2 2:2
  9.1 1:1 2:1 3:1
  9.2 1:1 2:2 3:2 4:2
  10.1 1:2 2:2
  10.2 1:2 2:2 3:3
  10.3 1:2 2:2 3:2 4:2 5:3
  10.4 1:1 2:1 3:1 4:1 5:1 6:2 7:2 8:2 9:2 10:2 11:2 12:3 13:3 14:3 15:3 16:3
  10.5 1:2 2:2 3:2 4:2 5:2
  10.6 1:2 2:2
  10.7 1:2 2:2 3:2
`;

const answers = ["Met.", "Met in part.", "Not met.", "Does not apply.", "The operator's."];

/** Ids as 3.1.1, and their levels. */
function requirements(): Map<string, string> {
  const lines = required.trim().split("\n");
  return new Map(
    lines.flatMap((line) => {
      const [section, ...those] = line.trim().split(" ");
      return those.map((one): [string, string] => {
        const [number, level] = one.split(":");
        return [`${section}.${number}`, `L${level}`];
      });
    }),
  );
}

/** What is wrong with the page, as lines. */
function problemsOf(text: string, wanted: ReadonlyMap<string, string>): string[] {
  const problems: string[] = [];
  const seen: string[] = [];
  for (const part of text.split(/^(?=#{2,3} )/m)) {
    const [, id = "", level] = /^### (\d+\.\d+\.\d+) · (L\d) · \S/.exec(part) ?? [];
    if (id === "") continue;
    if (seen.includes(id)) problems.push(`${id} is answered twice`);
    seen.push(id);
    if (wanted.get(id) !== level) problems.push(`${id} is no requirement of ${level}`);
    const answer = /^\*\*([^*]+)\*\*(.*)$/m.exec(part);
    if (answer === null || !answers.includes(answer[1] ?? "")) problems.push(`${id} has no answer`);
    const proofs = [...part.matchAll(/^- (.*)$/gm)];
    if (answer?.[1] === "Met." && proofs.length === 0) problems.push(`${id} is met, and nothing proves it`);
    if (answer?.[1] !== "Met." && (answer?.[2] ?? "").trim() === "") problems.push(`${id} does not say why`);
    for (const [, proof = ""] of proofs) problems.push(...wrongProof(proof).map((line) => `${id}: ${line}`));
  }
  for (const id of wanted.keys()) if (!seen.includes(id)) problems.push(`${id} is not answered`);
  return problems;
}

/** A proof is a link to a file and the title of a test in it, letter by letter. */
function wrongProof(line: string): string[] {
  const [, link = "", title = ""] = /^\[[^\]]+\]\(([^)]+)\): `([^`]+)`$/.exec(line) ?? [];
  const file = path.join(root, "docs", link);
  if (title === "" || !fs.existsSync(file)) return [`no file and title: ${line}`];
  const text = fs.readFileSync(file, "utf8");
  const spellings = [JSON.stringify(title), `\`${title}\``];
  const isThere = spellings.some((one) => text.includes(`test(${one}`) || text.includes(`test(\n    ${one}`));
  return isThere ? [] : [`no test "${title}" in ${link}`];
}

test("every requirement is answered once, and every test that is named there exists under that title", () => {
  const wanted = requirements();
  assert.equal(wanted.size, 140);
  assert.deepEqual(problemsOf(fs.readFileSync(path.join(root, page), "utf8"), wanted), []);
});

test("an answer that is missing, doubled, empty or proven by a test that there is not is named", () => {
  const wanted = new Map([
    ["1.1.1", "L1"],
    ["1.1.2", "L2"],
    ["1.1.3", "L1"],
  ]);
  const text = [
    "### 1.1.1 · L1 · one\n\n**Met.** So.\n",
    "- [a](../scripts/security-requirements.test.ts): `no such test`\n- [a](../scripts/nothing.test.ts): `x`\n",
    "### 1.1.2 · L3 · two\n\n**Met.**\n",
    "### 1.1.2 · L2 · two\n\n**Not met.**\n",
    "### 1.1.4 · L1 · four\n\nwell\n",
  ].join("\n");
  assert.deepEqual(problemsOf(text, wanted), [
    '1.1.1: no test "no such test" in ../scripts/security-requirements.test.ts',
    "1.1.1: no file and title: [a](../scripts/nothing.test.ts): `x`",
    "1.1.2 is no requirement of L3",
    "1.1.2 is met, and nothing proves it",
    "1.1.2 is answered twice",
    "1.1.2 does not say why",
    "1.1.4 is no requirement of L1",
    "1.1.4 has no answer",
    "1.1.4 does not say why",
    "1.1.3 is not answered",
  ]);
});
