import type { Spread } from "./figures.ts";

/** A bar: the median, with a whisker from the least to the most. */
export interface Bar {
  readonly label: string;
  readonly value: Spread;
  /** Ours, among others'. */
  readonly isOwn?: boolean;
}

export interface Chart {
  readonly title: string;
  /** What a bar's length is. */
  readonly unit: string;
  readonly bars: readonly Bar[];
}

const width = 760;
const labelWidth = 250;
const barHeight = 22;
const rowHeight = 32;
const top = 56;
const valueWidth = 90;

/** Horizontal bars from zero, as an SVG that is readable on light and dark pages. No script, no font of its own. */
export function barChart({ title, unit, bars }: Chart): string {
  const most = Math.max(...bars.map(({ value }) => value.max), Number.MIN_VALUE);
  const room = width - labelWidth - valueWidth;
  const x = (value: number) => labelWidth + (value / most) * room;
  const height = top + bars.length * rowHeight + 12;
  const described = bars.map(({ label, value }) => `${label}: ${short(value.median)}`).join("; ");
  const rows = bars.map(({ label, value, isOwn = false }, index) => {
    const y = top + index * rowHeight;
    const middle = y + barHeight / 2;
    return [
      `<text class="label" x="${labelWidth - 10}" y="${middle + 5}">${escaped(label)}</text>`,
      `<rect class="${isOwn ? "own" : "other"}" x="${labelWidth}" y="${y}" width="${fixed(x(value.median) - labelWidth)}" height="${barHeight}" rx="2"/>`,
      `<path class="whisker" d="M${fixed(x(value.min))} ${middle}H${fixed(x(value.max))}M${fixed(x(value.min))} ${middle - 5}v10M${fixed(x(value.max))} ${middle - 5}v10"/>`,
      `<text class="value" x="${fixed(x(value.max) + 8)}" y="${middle + 5}">${short(value.median)}</text>`,
    ].join("\n");
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="t d">
<title id="t">${escaped(title)}</title>
<desc id="d">${escaped(`${unit}, median. ${described}`)}</desc>
<style>
text { font: 14px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; font-size: 16px; }
.unit, .value { fill: #57606a; }
.label { text-anchor: end; }
.own { fill: #0f766e; }
.other { fill: #8c959f; }
.whisker { stroke: #1f2328; stroke-width: 1.2; fill: none; opacity: 0.65; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.unit, .value { fill: #9da7b1; }
.own { fill: #2dd4bf; }
.other { fill: #6e7681; }
.whisker { stroke: #e6edf3; }
}
</style>
<text class="title" x="12" y="22">${escaped(title)}</text>
<text class="unit" x="12" y="42">${escaped(unit)}; the line goes from the least to the most</text>
${rows.join("\n")}
</svg>
`;
}

const fixed = (value: number) => Number(value.toFixed(1)).toString();

/** At most three digits that count. */
export function short(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  if (value >= 1000) return Math.round(Number(value.toPrecision(3))).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

interface Measured {
  readonly perSecond: Spread;
  readonly p99?: Spread;
}

// biome-ignore lint/suspicious/noExplicitAny: what a scenario has written, by its name
type Results = Readonly<Record<string, any>>;

/** The charts that can be drawn of what there is, by the names of their files. */
export function chartsOf(results: Results): Record<string, Chart> {
  const charts: Record<string, Chart> = {};
  const { refresh, sizes, verify, session, postgres } = results;
  const own = (label: string) => /^(keyturn|@keyturn|sqlite|postgresql)/i.test(label);
  const rates = (runs: Record<string, Measured>) =>
    Object.entries(runs).map(([label, { perSecond }]) => ({ label, value: perSecond, isOwn: own(label) }));
  if (refresh !== undefined) {
    const at = (level: string) =>
      Object.entries(refresh.runs as Record<string, Record<string, Measured>>).flatMap(([label, levels]) =>
        levels[level] === undefined ? [] : [[label, levels[level]] as const],
      );
    charts.refresh = {
      title: "Refreshes, 32 in flight",
      unit: "a second",
      bars: rates(Object.fromEntries(at("32"))),
    };
    charts["refresh-in-flight"] = {
      title: "Refreshes with 1, 8, 32 and 128 in flight",
      unit: "a second",
      bars: ["1", "8", "32", "128"].flatMap((level) =>
        at(level)
          .filter(([label]) => !/by hand|grouped/.test(label))
          .map(([label, { perSecond }]) => ({
            label: `${level}: ${label}`,
            value: perSecond,
            isOwn: own(label),
          })),
      ),
    };
    charts["refresh-p99"] = {
      title: "99th percentile of a refresh, 128 in flight",
      unit: "milliseconds",
      bars: at("128").flatMap(([label, { p99 }]) =>
        p99 === undefined ? [] : [{ label, value: p99, isOwn: own(label) }],
      ),
    };
  }
  if (sizes !== undefined) {
    const bars = Object.entries(sizes.runs as Record<string, Measured>).map(([number, { perSecond }]) => ({
      label: `${Number(number).toLocaleString("en")} sessions`,
      value: perSecond,
      isOwn: true,
    }));
    charts.sizes = { title: "Refreshes, by the number of sessions", unit: "a second, SQLite", bars };
  }
  if (postgres !== undefined)
    charts.postgres = { title: "Refreshes on PostgreSQL", unit: "a second", bars: rates(postgres.runs) };
  if (session !== undefined)
    charts.session = { title: "Who is signed in, by cookie", unit: "a second", bars: rates(session.runs) };
  if (verify !== undefined) {
    const perSecond = verify.perSecond as Record<string, Spread> | undefined;
    const bars = Object.entries(perSecond ?? {})
      .filter(([, value]) => value.median < 200_000)
      .map(([label, value]) => ({ label, value, isOwn: own(label) || /guard/.test(label) }));
    if (bars.length > 0)
      charts.verify = {
        title: "Access tokens verified, nothing cached",
        unit: "a second, one process",
        bars,
      };
  }
  return charts;
}
