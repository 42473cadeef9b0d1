import assert from "node:assert/strict";
import { test } from "node:test";
import { barChart, chartsOf, short } from "./plots.ts";

const spread = (median: number) => ({ min: median / 2, median, max: median * 2 });

test("a bar is as long as its median among all, and its whisker goes from the least to the most", () => {
  const svg = barChart({
    title: "t",
    unit: "u",
    bars: [
      { label: "a", value: spread(100), isOwn: true },
      { label: "b", value: spread(50) },
    ],
  });
  const widths = [...svg.matchAll(/<rect class="\w+"[^>]* width="([\d.]+)"/g)].map(([, width]) =>
    Number(width),
  );
  assert.deepEqual(widths, [210, 105]);
  assert.match(svg, /M355 67H670/, "from half of the median to twice of it");
});

test("what stands in it is text, and is said to who cannot see it", () => {
  const svg = barChart({ title: "a < b & c", unit: "ms", bars: [{ label: "<x>", value: spread(1500) }] });
  assert.match(svg, /<title id="t">a &lt; b &amp; c<\/title>/);
  assert.match(svg, /<desc id="d">ms, median. &lt;x&gt;: 1,500<\/desc>/);
  assert.doesNotMatch(svg, /<x>|<script/);
});

test("figures have three digits that count", () => {
  assert.deepEqual([3_456_789, 12_345, 999, 12.345, 0.0123].map(short), [
    "3.46 M",
    "12,300",
    "999",
    "12.3",
    "0.0123",
  ]);
});

test("a chart is drawn of each result that there is, and of no other", () => {
  const run = { perSecond: spread(10), p99: spread(3) };
  const levels = { "1": run, "32": run, "128": run };
  const charts = chartsOf({ refresh: { runs: { Keyturn: levels, "oidc-provider in memory": levels } } });
  assert.deepEqual(Object.keys(charts), ["refresh", "refresh-in-flight", "refresh-p99"]);
  assert.deepEqual(
    charts["refresh-in-flight"]?.bars.map(({ label }) => label),
    ["1", "32", "128"].flatMap((level) => [`${level}: Keyturn`, `${level}: oidc-provider in memory`]),
  );
  assert.deepEqual(chartsOf({}), {});
});
