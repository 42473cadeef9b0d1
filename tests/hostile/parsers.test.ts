import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Parser, parsers } from "./parsers.ts";

/**
 * No parser of what strangers send throws anything but what it says it throws, whatever it is given, and none takes
 * longer than in proportion to the length of it.
 */

const seed = Number(process.env.KEYTURN_TEST_SEED ?? Date.now() % 2 ** 31);
console.log(`hostile texts: KEYTURN_TEST_SEED=${seed}`);

/** What a stranger makes of a good text, and what never was one. */
function hostile(seeds: readonly string[]): fc.Arbitrary<string> {
  const good = fc.constantFrom(...seeds);
  const odd = fc.constantFrom(
    ..."\0 \n \r\n \t % %00 %zz %C0%80 + & = ; : , . .. / \\ \" ' ( ) [ ] { } < > $ ~ é \u{1F600} \uD800 \uDFFF \uFEFF \u2028 \u202E".split(
      " ",
    ),
    "9".repeat(400),
    "-1",
    "1e999",
    "__proto__",
    "constructor",
    '{"a":'.repeat(200),
    "[".repeat(2000),
    "A".repeat(5000),
  );
  const spoilt = fc
    .tuple(good, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 8 }), odd), { minLength: 1, maxLength: 4 }))
    .map(([text, changes]) => {
      let made = text;
      for (const [at, cut, put] of changes) {
        const from = made.length === 0 ? 0 : at % (made.length + 1);
        made = made.slice(0, from) + put + made.slice(from + cut);
      }
      return made;
    });
  const cut = fc.tuple(good, fc.nat()).map(([text, at]) => text.slice(0, at % (text.length + 1)));
  const doubled = fc.tuple(good, good, odd).map(([one, other, between]) => one + between + other);
  return fc.oneof(spoilt, cut, doubled, good, fc.string({ unit: "binary", maxLength: 300 }), fc.json());
}

describe("no parser throws what it does not say", () => {
  for (const { name, parse, seeds, throws = () => false } of parsers) {
    test(name, async () => {
      await fc.assert(
        fc.asyncProperty(hostile(seeds), async (text) => {
          try {
            await parse(text);
          } catch (error) {
            if (!throws(error)) throw error;
          }
        }),
        { seed, numRuns: 300 },
      );
    });
  }
});

/** Runs that have driven parsers to the square, or further, of their length. */
function families(seeds: readonly string[], length: number): string[] {
  const [first = ""] = seeds;
  const filled = (unit: string) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
  const units =
    'a A 0 = == . .. / // \\ \\\\ % %25 + & &= ; , : - _ ~ $ ( ) (( [ { " "" \' \t \r\n \n @ a@ a. é \u{1F600}'
      .split(" ")
      .concat([" ", " ,", "a ", '{"a":', "a=b&", "a;q=1,", "$$,"]);
  return units.flatMap((unit) => [
    filled(unit),
    // Almost good: it begins as it should, and fails at its end.
    `${first}${filled(unit)}!`,
    `${first.slice(0, Math.ceil(first.length / 2))}${filled(unit)}${first.slice(Math.ceil(first.length / 2))}`,
  ]);
}

async function milliseconds({ parse }: Parser, text: string, runs: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run++) {
    const started = performance.now();
    try {
      await parse(text);
    } catch {
      // Whether it may is the other test's business.
    }
    least = Math.min(least, performance.now() - started);
  }
  return least;
}

const LENGTH = 16_384;
const TIMES = 4;
/** In proportion is four times; the square is sixteen. A machine that does other things adds some. */
const FACTOR_MAX = 9;
/** What is over so soon is not worth a look, however it grows. */
const SOON_MS = 4;

describe("no parser takes longer than in proportion to the length of a text", () => {
  for (const parser of parsers) {
    test(parser.name, async () => {
      const [short, long] = [families(parser.seeds, LENGTH), families(parser.seeds, TIMES * LENGTH)];
      for (const [index, text] of long.entries()) {
        for (let look = 1; ; look++) {
          const took = await milliseconds(parser, text, look);
          if (took < SOON_MS) break;
          const before = await milliseconds(parser, short[index] ?? "", 2 * look);
          if (took <= FACTOR_MAX * Math.max(before, SOON_MS / TIMES)) break;
          assert.ok(
            look < 5,
            `${took} ms for ${text.length}, ${before} ms for ${short[index]?.length}: ${text.slice(0, 80)}`,
          );
        }
      }
    });
  }
});
