import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createEventStreamParser, lineCharactersMax } from "./sse.ts";

function parse(chunks: readonly Uint8Array[]): string[] {
  const seen: string[] = [];
  const parser = createEventStreamParser({
    event: ({ type, data, lastEventId }) => seen.push(JSON.stringify([type, data, lastEventId])),
    retry: (milliseconds) => seen.push(`retry ${milliseconds}`),
  });
  for (const chunk of chunks) parser.push(chunk);
  return seen;
}

const events = (text: string) =>
  parse([Buffer.from(text)]).map((one) => (one[0] === "[" ? JSON.parse(one) : one));

test("HTML §9.2.6: the examples of the standard", () => {
  assert.deepEqual(events("data: YHOO\ndata: +2\ndata: 10\n\n"), [["message", "YHOO\n+2\n10", ""]]);
  assert.deepEqual(
    events(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"),
    [
      ["message", "first event", "1"],
      ["message", "second event", ""],
      ["message", " third event", ""],
    ],
  );
  assert.deepEqual(events("data\n\ndata\ndata\n\ndata:"), [
    ["message", "", ""],
    ["message", "\n", ""],
  ]);
  assert.deepEqual(events("data:test\n\ndata: test\n\n"), [
    ["message", "test", ""],
    ["message", "test", ""],
  ]);
});

test("HTML §9.2.6: takes LF, CR and CRLF, one BOM, and ignores comments, unknown fields and NUL ids", () => {
  assert.deepEqual(
    events("\uFEFFevent: a\r\ndata: 1\r\n\r\nevent: b\rdata: 2\r\rid: x\0y\nnope: z\n:c\ndata: 3\n\n"),
    [
      ["a", "1", ""],
      ["b", "2", ""],
      ["message", "3", ""],
    ],
  );
});

test("HTML §9.2.6: an event without data is not handed on, and an unfinished one is dropped", () => {
  assert.deepEqual(events("event: a\n\nevent: b\ndata: 1\n"), []);
});

test("HTML §9.2.6: retry is digits only", () => {
  assert.deepEqual(events("retry: 250\nretry: -1\nretry: 1e3\nretry: 2 \n"), ["retry 250"]);
});

test("a stream cut at any byte, within a character or a line end too, reads the same", () => {
  const whole = Buffer.from(
    "\uFEFFid: 7\r\nevent: né😀\r\ndata: a\r\ndata: b😀\r\n\r\n: x\rdata: c\r\r\ndata: d\n\nretry: 9\n",
  );
  const expected = parse([whole]);
  assert.equal(expected.length, 4);
  for (let cut = 0; cut <= whole.length; cut++) {
    assert.deepEqual(parse([whole.subarray(0, cut), whole.subarray(cut)]), expected, `cut at ${cut}`);
  }
  assert.deepEqual(parse([...whole].map((byte) => Uint8Array.of(byte))), expected);
});

test("any bytes cut anywhere read the same as in one piece", () => {
  const piece = fc.constantFrom(
    "data",
    "id",
    "event",
    "retry",
    ":",
    " ",
    "\r",
    "\n",
    "\r\n",
    "1",
    "é",
    "😀",
    "\uFEFF",
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 40 }),
      fc.array(fc.nat(160), { maxLength: 6 }),
      (pieces, cuts) => {
        const whole = Buffer.from(pieces.join(""));
        const edges = [0, ...cuts.filter((cut) => cut < whole.length).sort((a, b) => a - b), whole.length];
        const chunks = edges.slice(1).map((edge, at) => whole.subarray(edges[at], edge));
        assert.deepEqual(parse(chunks), parse([whole]));
      },
    ),
    { numRuns: 1000 },
  );
});

test("a line past its bound ends the stream, whole or in pieces", () => {
  const long = Buffer.alloc(lineCharactersMax + 10, 0x61);
  assert.throws(() => parse([long]), /too long/);
  assert.throws(() => parse([long, Buffer.from("\n")]), /too long/);
  assert.throws(() => parse([long.subarray(0, 600_000), long.subarray(0, 600_000)]), /too long/);
});
