import type { Client } from "../clients/client.ts";
import type { Person } from "../http/page.ts";
import type { Parameters } from "../http/parameters.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { IdTokenHint, IdTokenHints } from "../tokens/id-token-hint.ts";
import type { Subjects } from "./subjects.ts";

/** What a request to sign out comes to. OpenID Connect RP-Initiated Logout 1.0. */
export type LogoutLook =
  /** Somebody is to be asked first: nothing proves that the request comes from an application of theirs. */
  | { readonly outcome: "ask"; readonly client: Client | undefined; readonly next: Next | undefined }
  /** The hint is an ID token of this person: they have asked in the application. */
  | { readonly outcome: "end"; readonly client: Client; readonly next: Next | undefined }
  /** Nobody is signed in in this browser. */
  | { readonly outcome: "nobody"; readonly client: Client | undefined; readonly next: Next | undefined }
  | { readonly outcome: "refused"; readonly problem: LogoutProblem };

/** `hint`: no ID token of ours. `client`: client_id is not the one of the hint, or unknown. `address`: not registered. */
export type LogoutProblem = "hint" | "client" | "address";

/** Where the browser goes on to, proven to be the client's. */
export interface Next {
  readonly url: string;
}

export type LogoutInteraction = ReturnType<typeof createLogoutInteraction>;

interface Dependencies {
  readonly findClient: (id: string) => Promise<Client | undefined>;
  readonly idTokenHints: IdTokenHints;
  readonly subjects: Subjects;
  readonly sessions: Pick<Sessions, "find" | "end">;
}

/** The decisions of signing out at the request of an application. Pages show what comes of them. */
export function createLogoutInteraction({ findClient, idTokenHints, subjects, sessions }: Dependencies) {
  /** §2: "When an id_token_hint parameter is also used, the OP MUST verify that the Client Identifier matches". */
  async function clientOf(
    parameters: Parameters,
    hint: IdTokenHint | undefined,
  ): Promise<Client | undefined> {
    const named = parameters.get("client_id");
    if (hint !== undefined && named !== undefined && named !== hint.clientId) return undefined;
    const id = hint?.clientId ?? named;
    return id === undefined ? undefined : findClient(id);
  }

  /**
   * §3: "This value MUST have been previously registered with the OP" and is compared byte for byte; it is taken only
   * with a client that it can belong to.
   */
  function nextOf(parameters: Parameters, client: Client | undefined): Next | undefined | "refused" {
    const uri = parameters.get("post_logout_redirect_uri");
    if (uri === undefined) return undefined;
    if (client === undefined || !client.metadata.post_logout_redirect_uris.includes(uri)) return "refused";
    const state = parameters.get("state");
    const url = new URL(uri);
    if (state !== undefined) url.searchParams.append("state", state);
    // Without a state exactly what was registered, not what a parser makes of it.
    return { url: state === undefined ? uri : url.href };
  }

  async function isOf(hint: IdTokenHint, client: Client, person: Person): Promise<boolean> {
    if (hint.subject !== subjects.of(client, person.user.id)) return false;
    if (hint.sessionId === undefined || hint.sessionId === person.session.id) return true;
    // The application was let in by this person; if from a browser, it must have been this one.
    const session = await sessions.find(hint.sessionId);
    return session === undefined || session.parent === undefined || session.parent === person.session.id;
  }

  return {
    async look(parameters: Parameters, person: Person | undefined): Promise<LogoutLook> {
      const given = parameters.get("id_token_hint");
      const hint = given === undefined ? undefined : await idTokenHints.read(given);
      if (given !== undefined && hint === undefined) return { outcome: "refused", problem: "hint" };
      const client = await clientOf(parameters, hint);
      const names = hint !== undefined || parameters.get("client_id") !== undefined;
      if (names && client === undefined) return { outcome: "refused", problem: "client" };
      const next = nextOf(parameters, client);
      if (next === "refused") return { outcome: "refused", problem: "address" };
      if (person === undefined) return { outcome: "nobody", client, next };
      const isTheirs = hint !== undefined && client !== undefined && (await isOf(hint, client, person));
      return isTheirs ? { outcome: "end", client, next } : { outcome: "ask", client, next };
    },

    /** Ends the session of the browser, and with it what applications were let in to from it. */
    end: (person: Person, ip: string | undefined): Promise<boolean> =>
      sessions.end(person.session.id, { actor: "user", reason: "signed_out", ip }),
  };
}
