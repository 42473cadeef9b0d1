import type { Session } from "../sessions/session.ts";
import type { User } from "../users/user.ts";
import type { Pairs } from "./parameters.ts";

/** Who a browser is signed in as. */
export interface Person {
  readonly session: Session;
  readonly user: User;
}

/** What a page is given: everything about the request that its row has had checked. */
export interface PageRequest {
  /** Parameters of the path. */
  readonly path: Readonly<Record<string, string>>;
  /** Query parameters; a repeated one has been refused. */
  readonly query: Readonly<Record<string, string>>;
  /** What an OAuth request brought, in its query or its form, for a page whose row has `isOauth`; else empty. */
  readonly pairs: Pairs;
  /** A field of the form, empty when it was not sent; a repeated one has been refused. */
  field(name: string): string;
  header(name: string): string | undefined;
  readonly ip: string | undefined;
  readonly userAgent: string | undefined;
  readonly person: Person | undefined;
  /** For the hidden field of every form on the page. */
  readonly formToken: string;
}

export interface PersonRequest extends PageRequest {
  readonly person: Person;
}

/** Why there is a page with an explanation in place of the one that was asked for, and its status. */
export const pageProblems = {
  invalid_request: 400,
  cross_site: 403,
  form_out_of_date: 403,
  not_found: 404,
  method_not_allowed: 405,
  body_too_large: 413,
  unsupported_media_type: 415,
  server_error: 500,
  busy: 503,
  unavailable: 503,
} as const;
export type PageProblem = keyof typeof pageProblems;

interface WithCookies {
  /** `Set-Cookie` headers. */
  readonly cookies?: readonly string[];
}

export type PageAnswer = WithCookies &
  (
    | {
        readonly status: 200 | 400 | 401 | 403 | 409 | 422 | 429 | 503;
        readonly html: string;
        readonly headers?: Readonly<Record<string, string>>;
      }
    /**
     * 303: a path of this origin, so that a reload repeats nothing; or an application's address that was proven to be
     * its own, in the answer to a GET: after a form browsers hold `form-action` against it.
     */
    | { readonly location: string }
    /** 303: an address of a client, which was proven to be its own. */
    | { readonly leavesFor: string }
    | { readonly problem: PageProblem }
  );

interface PageBase {
  readonly method: "GET" | "POST";
  /**
   * Below the issuer, as Hono writes it. What a page is about is in its query or its form; a parameter is there where
   * each thing needs an address of its own.
   */
  readonly path: string;
  /** One sentence for docs/endpoints.md. */
  readonly summary: string;
  readonly query?: Readonly<Record<string, { readonly about: string }>>;
  /** Fields of the form besides its token. */
  readonly fields?: Readonly<Record<string, { readonly about: string }>>;
  /**
   * What the token of this page's forms is bound to. `browser`: a cookie that any browser gets, for forms that are
   * there before anyone is signed in; ten tabs of them stay good while one of them signs in. Default: the session.
   */
  readonly tokenOf?: "browser" | "session";
  /** Its security policy lets the one script of this server run; see pages/passkeys.js. Default: none runs. */
  readonly hasScript?: boolean;
  /**
   * A form that another site sends on purpose. It has no token of ours and comes without our cookies, so it may do
   * nothing but lead on to a page that looks at what it brought.
   */
  readonly fromElsewhere?: boolean;
  /** Its query or form is read as OAuth has it: a repeated parameter is for the page to judge. */
  readonly isOauth?: boolean;
  /** Answers only who asks for HTML; an endpoint at the same address answers the others. */
  readonly besideEndpoint?: boolean;
}

/** One row of the pages. `access` says who may come, and so what the handler is given. */
export type Page = PageBase &
  (
    | {
        readonly access: "anyone";
        handle(request: PageRequest): PageAnswer | Promise<PageAnswer>;
        /** The form again, with a token that is good, for one that was sent without. */
        again?(request: PageRequest): PageAnswer | Promise<PageAnswer>;
      }
    | {
        readonly access: "person";
        handle(request: PersonRequest): PageAnswer | Promise<PageAnswer>;
        again?(request: PersonRequest): PageAnswer | Promise<PageAnswer>;
        /** Where somebody who is not signed in is sent. */
        strangersGoTo(request: PageRequest): string;
      }
  );

/** A file that pages refer to. Its address names its content, so it may be kept for ever. */
export interface Asset {
  readonly path: string;
  /** Whether a file name is this one with any hash: for pages of another version, while a roll-out goes on. */
  isVersion(file: string): boolean;
  readonly type: string;
  readonly content: string;
}
