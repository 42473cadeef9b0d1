import type { ClientMetadata } from "./client.ts";
import { type InvalidMetadata, invalidMetadata } from "./client-metadata.ts";

/** What came of fetching a document that a client has named. */
export type Fetched =
  | {
      readonly outcome: "answered";
      readonly status: number;
      /** Of the content, in lower case, without parameters. */
      readonly type: string;
      readonly text: string;
      /** For how long it may be kept (RFC 9111 §4.2.1); undefined: nothing is said. Seconds. */
      readonly freshSeconds: number | undefined;
    }
  /** It was not asked, or what came may not be read: a private address, too many bytes. */
  | { readonly outcome: "refused" }
  /** It could not be reached. Later it may. */
  | { readonly outcome: "outage" };

/** Fetches an address that somebody else has named: http/fetch-document.ts. */
export type FetchDocument = (url: string) => Promise<Fetched>;

/**
 * OpenID Connect Core §8.1: the document is "a JSON array of redirect_uri values", and "The values of the registered
 * redirect_uris MUST be included in the elements of the array, or registration MUST fail."
 */
export async function sectorProblem(
  metadata: ClientMetadata,
  fetchDocument: FetchDocument,
): Promise<InvalidMetadata | undefined> {
  const { sector_identifier_uri: uri, redirect_uris } = metadata;
  if (uri === undefined) return undefined;
  const invalid = (problem: string) => invalidMetadata({ field: "sector_identifier_uri", problem });
  const fetched = await fetchDocument(uri);
  if (fetched.outcome !== "answered" || fetched.status !== 200)
    return invalid("could not be fetched: it takes the address of a JSON array of redirect URIs");
  const listed = parsed(fetched.text);
  if (!Array.isArray(listed)) return invalid("names no JSON array of redirect URIs");
  const all = new Set(listed);
  return redirect_uris.every((one) => all.has(one)) ? undefined : invalid("does not list every redirect URI");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
