import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../primitives/limits.ts";
import { returnPath } from "./return-to.ts";

test("a path of this origin is gone to, as browsers write it", () => {
  const paths = {
    "/": "/",
    "/account": "/account",
    "/a/b?c=d&e=f#g": "/a/b?c=d&e=f#g",
    "/a b": "/a%20b",
    "/ä": "/%C3%A4",
    "/a/../b": "/b",
    "/a?next=https://evil.example": "/a?next=https://evil.example",
    "/@evil.example": "/@evil.example",
    "/x//y": "/x//y",
  };
  for (const [given, expected] of Object.entries(paths)) assert.equal(returnPath(given), expected, given);
});

test("ASVS 3.7.2: nothing leads to another origin", () => {
  const hostile = [
    undefined,
    "",
    "account",
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r\nSet-Cookie: a=b",
    "/\0",
    "\t//evil.example",
    " //evil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/%2e//evil.example",
    "/%2E%2e//evil.example",
    "/a/..//evil.example",
    "/a/..//..//evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "//evil.example/%2f..",
    "/\u{2028}//evil.example\\",
    "/\ud800",
    `/${"x".repeat(limits.returnToCharactersMax)}`,
  ];
  for (const given of hostile) assert.equal(returnPath(given), undefined, JSON.stringify(given));
});

test("whatever it is given, a browser that follows the answer stays on its origin", () => {
  const piece = fc.constantFrom(
    "/",
    "\\",
    ".",
    "..",
    "%2e",
    "%2f",
    "%5c",
    "//",
    "evil.example",
    "@",
    ":",
    "?",
    "#",
    " ",
    "\t",
    "a",
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((parts) => `/${parts.join("")}`),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (given) => {
      const path = returnPath(given);
      if (path === undefined) return;
      assert.equal(new URL(path, "https://auth.example/sign-in").origin, "https://auth.example");
      assert.match(path, /^\/[\x21-\x7e]*$/);
    }),
    { numRuns: 5000 },
  );
});
