/** What one check found. A `fail` keeps a server from working, a `warn` is worth knowing. */
export interface Finding {
  readonly check: string;
  readonly state: "ok" | "warn" | "fail";
  /** What is so, and if it is not well, what to do. */
  readonly text: string;
}

const finding = (state: Finding["state"]) => (check: string, text: string) => ({ check, state, text });
export const ok = finding("ok");
export const warn = finding("warn");
export const fail = finding("fail");

/** An exception in one line. */
export function lineOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
}
