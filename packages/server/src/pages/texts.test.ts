import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { texts } from "./texts.ts";

test("no page speaks for itself: every word of a template comes from texts.ts", () => {
  const files = readdirSync(import.meta.dirname).filter(
    (file) => /\.ts$/.test(file) && !/^test-|\.test\.ts$|^texts(-[a-z]+)?\.ts$/.test(file),
  );
  assert.ok(files.length > 10);
  for (const file of files) {
    const source = readFileSync(new URL(file, import.meta.url), "utf8");
    for (const template of templatesOf(source)) {
      // Tags, and attributes that a tag is given by a template of their own.
      const attribute = /\s(?:[a-z-]+="[^"]*"|required|autofocus|checked)/g;
      const words = template.replaceAll(/<[^>]*>/g, " ").replaceAll(attribute, " ");
      assert.doesNotMatch(words, /\p{L}/u, `${file} has words of its own: ${words.trim()}`);
      const attributes = template.matchAll(/\s(?:title|alt|placeholder|aria-label)="([^"]*)"/g);
      for (const [, value = ""] of attributes) assert.doesNotMatch(value, /\p{L}/u, `${file}: ${value}`);
    }
  }
});

/** The fixed parts of the templates in a source, what is put in left out. */
function templatesOf(source: string): string[] {
  const templates: string[] = [];
  for (const { index } of source.matchAll(/html`/g)) {
    let [at, depth, text] = [index + 5, 0, ""];
    for (; at < source.length; at++) {
      const two = source.slice(at, at + 2);
      if (two === "${") depth++;
      else if (depth === 0 && source[at] === "`") break;
      else if (depth === 0) text += source[at];
      if (depth > 0 && source[at] === "{" && source[at - 1] !== "$") depth++;
      if (depth > 0 && source[at] === "}") depth--;
      if (depth === 0 && source[at] === "}" && text.endsWith("}")) text = text.slice(0, -1);
    }
    templates.push(text);
  }
  return templates;
}

test("times and waits are said as people say them", () => {
  const ago = {
    0: "just now",
    59: "just now",
    60: "1 minute ago",
    3599: "59 minutes ago",
    7200: "2 hours ago",
  };
  for (const [seconds, said] of Object.entries(ago)) assert.equal(texts.ago(Number(seconds)), said);
  const day = 24 * 3600;
  assert.deepEqual(
    [texts.ago(day), texts.ago(3 * day), texts.ago(65 * day)],
    ["yesterday", "3 days ago", "2 months ago"],
  );
  const waits = { 1: "1 second", 45: "45 seconds", 90: "2 minutes", 3600: "60 minutes", 7200: "2 hours" };
  for (const [seconds, said] of Object.entries(waits)) assert.equal(texts.wait(Number(seconds)), said);
  assert.match(texts.moment(1_800_000_000_000), /^January 15, 2027 at 8:00\sAM UTC$/);
});
