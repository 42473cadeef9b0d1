import type { ResolvedSettings } from "../../../config.ts";
import { type Finding, lineOf, ok, warn } from "./finding.ts";

const WAIT_MS = 3_000;

/** Asks the issuer's own address for its metadata, as every client and guard will. */
export async function* diagnoseIssuer({ issuer }: Pick<ResolvedSettings, "issuer">): AsyncGenerator<Finding> {
  const url = `${issuer}/.well-known/openid-configuration`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(WAIT_MS), redirect: "error" });
    const metadata = response.ok ? ((await response.json()) as { issuer?: unknown }) : undefined;
    if (metadata === undefined) {
      yield warn("issuer", `${url} answers ${response.status}: is another program, or a proxy, in the way?`);
    } else if (metadata.issuer !== issuer) {
      yield warn(
        "issuer",
        `${url} names another issuer: clients will refuse it. Give the server and this command the same settings`,
      );
    } else yield ok("issuer", `${issuer} answers`);
  } catch (error) {
    const { cause } = error as { cause?: { code?: string; message?: string } };
    yield warn(
      "issuer",
      `${issuer} does not answer from here (${cause?.code ?? cause?.message ?? lineOf(error)}); well if no server runs now`,
    );
  }
}
