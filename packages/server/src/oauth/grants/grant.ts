import type { Client, GrantType } from "../../clients/client.ts";
import type { RefusalCode } from "../../errors.ts";
import type { Parameters } from "../../http/parameters.ts";
import type { TokenReply } from "../issuing.ts";

/** What a grant is given: a client that has authenticated and is registered for this grant. */
export interface GrantRequest {
  readonly client: Client;
  /** The same client, authenticated by what the database has now, for a grant that found the other to be out of date. */
  clientAnew(): Promise<Client>;
  readonly parameters: Parameters;
  /** RFC 9449 §5: the key that the request proves; undefined without a proof. */
  readonly dpopThumbprint: string | undefined;
  /** The `Idempotency-Key` header. */
  readonly attemptKey: string | undefined;
  readonly ip: string | undefined;
  readonly userAgent: string | undefined;
}

/** One way to get tokens. The token endpoint, discovery and the documentation read this value and nothing else. */
export interface Grant {
  readonly type: GrantType;
  /** Parameters besides `grant_type` and those that authenticate the client. */
  readonly parameters: Readonly<Record<string, { readonly about: string }>>;
  readonly refusals: readonly RefusalCode[];
  /** @throws Refusal */
  handle(request: GrantRequest): Promise<TokenReply>;
}
