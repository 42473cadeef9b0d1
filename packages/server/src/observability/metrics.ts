import type { Counter, Histogram, Registry } from "prom-client";

export type Metrics = ReturnType<typeof createMetrics>;

/** What is counted elsewhere and read when somebody looks. */
interface Gauges {
  feedReaders(): number;
  /** Look-ups of breached passwords since the start, by outcome. */
  breachLookups(): Readonly<Record<string, number>>;
}

interface Instruments {
  readonly registry: Registry;
  readonly requests: Histogram<"endpoint" | "status">;
  readonly turns: Counter<"outcome">;
  readonly signIns: Counter<"outcome">;
  readonly grants: Counter<"grant" | "outcome">;
}

/** What is counted before the library is there waits; more than this is not counted. */
const WAITING_MAX = 10_000;
const LOAD_AFTER_MS = 1_000;

/**
 * What GET /metrics shows, in the Prometheus text format. The library is loaded a moment after the start, or at the
 * first look: it is a tenth of the time that a start takes.
 */
export function createMetrics(gauges: Gauges) {
  let instruments: Instruments | undefined;
  let loading: Promise<Instruments> | undefined;
  let waiting: ((to: Instruments) => void)[] = [];

  function load(): Promise<Instruments> {
    loading ??= makeInstruments(gauges).then((made) => {
      instruments = made;
      for (const record of waiting) record(made);
      waiting = [];
      return made;
    });
    return loading;
  }

  function record(how: (to: Instruments) => void): void {
    if (instruments !== undefined) how(instruments);
    else if (waiting.length < WAITING_MAX) waiting.push(how);
  }

  setTimeout(() => void load(), LOAD_AFTER_MS).unref();
  return {
    requestTook(endpoint: string, status: number, seconds: number): void {
      const labels = { endpoint, status: String(status) };
      if (instruments !== undefined) instruments.requests.observe(labels, seconds);
      else record(({ requests }) => requests.observe(labels, seconds));
    },
    turned: (outcome: string) => record(({ turns }) => turns.inc({ outcome })),
    granted: (grant: string, outcome: string) => record(({ grants }) => grants.inc({ grant, outcome })),
    signedIn: (outcome: string) => record(({ signIns }) => signIns.inc({ outcome })),
    async text(): Promise<{ text: string; contentType: string }> {
      const { registry } = await load();
      return { text: await registry.metrics(), contentType: registry.contentType };
    },
  };
}

async function makeInstruments(gauges: Gauges): Promise<Instruments> {
  const prometheus = await import("prom-client");
  const registry = new prometheus.Registry();
  const registers = [registry];
  prometheus.collectDefaultMetrics({ register: registry, prefix: "keyturn_" });
  new prometheus.Gauge({
    name: "keyturn_feed_readers",
    help: "Guards that follow the revocation feed of this process.",
    registers,
    collect() {
      this.set(gauges.feedReaders());
    },
  });
  new prometheus.Counter({
    name: "keyturn_breach_lookups_total",
    help: "New passwords looked up at the range service, by outcome; failed ones were taken on the local list alone.",
    labelNames: ["outcome"],
    registers,
    collect() {
      this.reset();
      for (const [outcome, count] of Object.entries(gauges.breachLookups())) this.inc({ outcome }, count);
    },
  });
  return {
    registry,
    requests: new prometheus.Histogram({
      name: "keyturn_http_request_seconds",
      help: "Time from the request's arrival to its answer, by endpoint and status.",
      labelNames: ["endpoint", "status"],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
      registers,
    }),
    turns: new prometheus.Counter({
      name: "keyturn_turns_total",
      help: "Refresh tokens presented, by outcome.",
      labelNames: ["outcome"],
      registers,
    }),
    signIns: new prometheus.Counter({
      name: "keyturn_sign_ins_total",
      help: "Sign-ins tried, by outcome.",
      labelNames: ["outcome"],
      registers,
    }),
    grants: new prometheus.Counter({
      name: "keyturn_grants_total",
      help: "Requests of known clients at the token endpoint, by grant type and outcome.",
      labelNames: ["grant", "outcome"],
      registers,
    }),
  };
}
