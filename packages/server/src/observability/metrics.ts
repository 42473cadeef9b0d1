import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

export type Metrics = ReturnType<typeof createMetrics>;

/** What GET /metrics shows, in the Prometheus text format. */
export function createMetrics(gauges: { feedReaders(): number }) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "keyturn_" });
  const requests = new Histogram({
    name: "keyturn_http_request_seconds",
    help: "Time from the request's arrival to its answer, by endpoint and status.",
    labelNames: ["endpoint", "status"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
    registers: [registry],
  });
  const turns = new Counter({
    name: "keyturn_turns_total",
    help: "Refresh tokens presented, by outcome.",
    labelNames: ["outcome"],
    registers: [registry],
  });
  const signIns = new Counter({
    name: "keyturn_sign_ins_total",
    help: "Sign-ins tried, by outcome.",
    labelNames: ["outcome"],
    registers: [registry],
  });
  new Gauge({
    name: "keyturn_feed_readers",
    help: "Guards that follow the revocation feed of this process.",
    registers: [registry],
    collect() {
      this.set(gauges.feedReaders());
    },
  });
  return {
    requestTook: (endpoint: string, status: number, seconds: number) =>
      requests.observe({ endpoint, status: String(status) }, seconds),
    turned: (outcome: string) => turns.inc({ outcome }),
    signedIn: (outcome: string) => signIns.inc({ outcome }),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
