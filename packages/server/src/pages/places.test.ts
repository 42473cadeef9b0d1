import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../primitives/limits.ts";
import { createPlaces, type PlaceOf } from "./places.ts";

const lines: unknown[] = [];
const log = { debug: (...parts: unknown[]) => void lines.push(parts) };
const ask = (placeOf: PlaceOf | undefined, ...ips: string[]) => createPlaces({ placeOf, log })(new Set(ips));

test("a place is asked once for each address, at the same time, and cleaned", async () => {
  const asked: string[] = [];
  const placeOf = async (ip: string) => {
    asked.push(ip);
    return ip === "a" ? " Lyon,\n\tFrance\u0000 " : undefined;
  };
  assert.deepEqual([...(await ask(placeOf, "a", "b", "a"))], [["a", "Lyon, France"]]);
  assert.deepEqual(asked, ["a", "b"]);
  const [[, long] = []] = await ask(() => "x".repeat(5000), "a");
  assert.equal(long?.length, limits.placeCharactersMax);
});

test("without a hook, or without addresses, nobody is asked", async () => {
  assert.equal((await ask(undefined, "a")).size, 0);
  const never = () => assert.fail("asked");
  assert.equal((await ask(never)).size, 0);
});

test("a hook that throws, rejects or answers with something else leaves its place out, and others in", async () => {
  const answers: Record<string, () => unknown> = {
    a: () => {
      throw new Error("x");
    },
    b: async () => {
      throw new Error("x");
    },
    c: () => 7,
    d: () => ({ toString: () => "<b>" }),
    e: () => null,
    f: () => "",
    g: () => "Porto",
  };
  const places = await ask(((ip: string) => answers[ip]?.()) as PlaceOf, ...Object.keys(answers));
  assert.deepEqual([...places], [["g", "Porto"]]);
  assert.equal(lines.length, 2);
});

test("a hook that is slow holds the page up no longer than the bound, and changes nothing afterwards", async () => {
  const late = Promise.withResolvers<string>();
  const started = performance.now();
  const places = await ask((ip) => (ip === "slow" ? late.promise : "Lyon"), "slow", "fast");
  const took = performance.now() - started;
  assert.ok(took >= limits.placeMillisecondsMax - 20 && took < limits.placeMillisecondsMax * 4, `${took} ms`);
  late.resolve("Porto");
  await late.promise;
  await Promise.resolve();
  assert.deepEqual([...places], [["fast", "Lyon"]]);
});
