import type { Context, Hono } from "hono";
import { Refusal } from "./errors.ts";
import { commonHeaders } from "./http/answers.ts";
import { fetchBody } from "./http/arrival.ts";
import type { BrowserSessions } from "./http/browser-sessions.ts";
import { readForm } from "./http/form.ts";
import type { FormOwner, FormTokens } from "./http/form-token.ts";
import {
  type Asset,
  type Page,
  type PageAnswer,
  type PageProblem,
  type PageRequest,
  type Person,
  type PersonRequest,
  pageProblems,
} from "./http/page.ts";
import { parsePairs, readPairs } from "./http/parameters.ts";
import type { Traffic } from "./http/traffic.ts";
import type { Log } from "./observability/log.ts";
import type { Metrics } from "./observability/metrics.ts";
import { callerOf, singleQuery } from "./pipeline.ts";
import { limits } from "./primitives/limits.ts";
import { type RouterEnv, socketAddressOf } from "./routes.ts";
import { DatabasePaused, DatabaseUnavailable } from "./storage/database.ts";

interface Dependencies {
  readonly pages: readonly Page[];
  readonly assets: readonly Asset[];
  /** The page that says what went wrong and what to do next. */
  readonly problemPage: (problem: PageProblem) => string;
  readonly browserSessions: Pick<BrowserSessions, "find" | "clearCookie">;
  readonly formTokens: FormTokens;
  /** Where a request was started from. */
  readonly siteOf: (request: { header(name: string): string | undefined }) => "same" | "cross" | "unknown";
  readonly settings: { readonly issuer: string; readonly trustedProxies: number };
  readonly metrics: Pick<Metrics, "requestTook">;
  readonly log: Log;
  readonly traffic: Traffic;
}

interface Serving {
  readonly context: Context<RouterEnv>;
  readonly page: Page;
  readonly dependencies: Dependencies;
}

const POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/** Where passkeys are used: one file of ours may run, and ask us for a challenge. Nothing inline. */
const POLICY_WITH_SCRIPT = `${POLICY}; script-src 'self'; connect-src 'self'`;
/**
 * Pages on the way to an application, which may have opened them in a window of its own (a popup) and waits for it. With
 * Cross-Origin-Opener-Policy it would lose the window at the first page, and its callback the way back: HTML Standard
 * §7.1.3. What a window tells whoever opened it is that it was closed, or went on.
 */
const IN_WINDOWS_OF_OTHERS = /^\/(oauth\/authorize|sign-in|sign-up|step-up)(\/|$)/;
const KEPT_FOR_EVER = "public, max-age=31536000, immutable";

/** The pipeline of every page, beside that of the endpoints: where from, who, form, token, handler, answer. */
export function createPageRoutes(dependencies: Dependencies) {
  const { pages, settings, problemPage } = dependencies;
  const headers = {
    ...commonHeaders(settings.issuer),
    "Content-Security-Policy": POLICY,
    // Under `no-referrer` browsers send `Origin: null` with a form, which says nothing of where it came from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
  };

  function respond(
    context: Context<RouterEnv>,
    answer: PageAnswer,
    extra: Record<string, string> = {},
  ): Response {
    const sent = new Headers({ ...headers, ...extra });
    for (const cookie of answer.cookies ?? []) sent.append("Set-Cookie", cookie);
    if ("location" in answer || "leavesFor" in answer) {
      sent.set("Location", "location" in answer ? answer.location : answer.leavesFor);
      return new Response(null, { status: 303, headers: sent });
    }
    sent.set("Content-Type", "text/html; charset=utf-8");
    const isProblem = "problem" in answer;
    for (const [name, value] of Object.entries((isProblem ? undefined : answer.headers) ?? {}))
      sent.set(name, value);
    const text = isProblem ? problemPage(answer.problem) : answer.html;
    return new Response(context.req.method === "HEAD" ? null : text, {
      status: isProblem ? pageProblems[answer.problem] : answer.status,
      headers: sent,
    });
  }

  async function admitted(serving: Serving) {
    dependencies.traffic.enters();
    try {
      return await handle(serving);
    } finally {
      dependencies.traffic.leaves();
    }
  }

  async function serve(serving: Serving): Promise<Response> {
    const { context, page } = serving;
    const started = performance.now();
    const vary: Record<string, string> = {
      ...(page.besideEndpoint === true && { Vary: "Accept" }),
      ...(IN_WINDOWS_OF_OTHERS.test(page.path) && { "Cross-Origin-Opener-Policy": "unsafe-none" }),
      ...(page.hasScript === true && { "Content-Security-Policy": POLICY_WITH_SCRIPT }),
    };
    let response: Response;
    try {
      response = respond(context, await admitted(serving), vary);
    } catch (error) {
      const { problem, headers: more } = problemOf(error, { page, log: dependencies.log });
      response = respond(context, { problem }, more);
    }
    dependencies.metrics.requestTook(page.path, response.status, (performance.now() - started) / 1000);
    return response;
  }

  return {
    /** Before the endpoints: a page beside an endpoint leaves to it who does not ask for HTML. */
    addTo(app: Hono<RouterEnv>): void {
      for (const page of pages) {
        app.on(page.method, page.path, (context, next) =>
          page.besideEndpoint === true && !wantsHtml(context)
            ? next()
            : serve({ context, page, dependencies }),
        );
      }
      const own = pages.filter((page) => page.besideEndpoint !== true);
      for (const [path, methods] of Map.groupBy(own, (page) => page.path)) {
        const taken = methods.flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method]));
        app.all(path, (context) =>
          respond(context, { problem: "method_not_allowed" }, { Allow: taken.join(", ") }),
        );
      }
      addAssets(app, { assets: dependencies.assets, headers });
    },

    /** For a browser that is looking for a page; undefined for anything else. */
    notFound(context: Context<RouterEnv>): Response | undefined {
      const isReading = context.req.method === "GET" || context.req.method === "HEAD";
      return isReading && wantsHtml(context) ? respond(context, { problem: "not_found" }) : undefined;
    },
  };
}

function wantsHtml({ req }: Context<RouterEnv>): boolean {
  return /\btext\/html\b/i.test(req.header("accept") ?? "");
}

/** One row for all of them: with several beside each other Hono falls back to its slow router, for every endpoint. */
function addAssets(
  app: Hono<RouterEnv>,
  { assets, headers }: { assets: readonly Asset[]; headers: Readonly<Record<string, string>> },
): void {
  app.get("/assets/:file", (context, next) => {
    const file = context.req.param("file");
    const asset = assets.find((one) => one.isVersion(file));
    if (asset === undefined) return next();
    const cache = asset.path === `/assets/${file}` ? KEPT_FOR_EVER : "no-store";
    return new Response(context.req.method === "HEAD" ? null : asset.content, {
      headers: { ...headers, "Content-Type": asset.type, "Cache-Control": cache },
    });
  });
}

async function handle({ context, page, dependencies }: Serving): Promise<PageAnswer> {
  const { req } = context;
  const header = (name: string) => req.header(name);
  const isPost = page.method === "POST";
  // First, for it costs nothing: what another site has started does not even learn whether somebody is signed in.
  const isFromElsewhere = page.fromElsewhere === true;
  const site = isPost && !isFromElsewhere ? dependencies.siteOf({ header }) : "unknown";
  if (site === "cross") return { problem: "cross_site" };
  const ip = callerOf({ header, socketAddress: socketAddressOf(context) }, dependencies.settings);
  const found = await findPerson({ header, ip }, dependencies);
  const owner = ownerOfForms({ page, header, person: found.person, site, dependencies });
  let fields: ReadonlyMap<string, string> = new Map();
  const request = {
    path: page.path.includes(":") ? (req.param() as Record<string, string>) : {},
    query: page.isOauth === true ? {} : singleQuery(req.queries()),
    pairs: await oauthPairs(page, req.raw),
    field: (name: string) => fields.get(name) ?? "",
    header,
    ip,
    userAgent: header("user-agent")?.slice(0, limits.userAgentCharactersMax),
    person: found.person,
    formToken: owner.token,
  };
  const also = [...found.cookies, ...owner.cookies];
  if (page.access === "person" && found.person === undefined) {
    return withCookies(also, { location: page.strangersGoTo(request) });
  }
  if (isPost && page.isOauth !== true) fields = await readForm(fetchBody(req.raw));
  const isGood = !isPost || isFromElsewhere || owner.isGood(request.field("form_token"));
  return withCookies(
    also,
    isGood ? await page.handle(request as PersonRequest) : await formAgain(page, request),
  );
}

/** RFC 6749 §3.1: the query of GET, the form of POST. */
async function oauthPairs(page: Page, request: Request) {
  if (page.isOauth !== true) return [];
  if (page.method === "POST") return readPairs(fetchBody(request));
  const query = request.url.indexOf("?");
  return query < 0 ? [] : parsePairs(request.url.slice(query + 1));
}

/** RFC 6265 §4.1.1: no two of one name. What the page says of a cookie stands for what the pipeline says. */
function withCookies(cookies: readonly string[], answer: PageAnswer): PageAnswer {
  if (cookies.length === 0) return answer;
  const own = answer.cookies ?? [];
  const nameOf = (cookie: string) => cookie.slice(0, cookie.indexOf("="));
  const others = cookies.filter((cookie) => !own.some((one) => nameOf(one) === nameOf(cookie)));
  return { ...answer, cookies: [...others, ...own] };
}

function formAgain(page: Page, request: PageRequest): PageAnswer | Promise<PageAnswer> {
  return page.again?.(request as PersonRequest) ?? { problem: "form_out_of_date" };
}

async function findPerson(
  request: Pick<PageRequest, "header" | "ip">,
  { browserSessions }: Pick<Dependencies, "browserSessions">,
): Promise<{ person: Person | undefined; cookies: readonly string[] }> {
  const found = await browserSessions.find(request);
  switch (found.outcome) {
    case "found":
      return { person: { session: found.session, user: found.user }, cookies: [] };
    case "missing":
      return { person: undefined, cookies: [] };
    case "invalid":
      // One that was replaced has a successor, perhaps in this browser since the request left: taking the cookie away
      // would sign out who has just signed in in another tab.
      return {
        person: undefined,
        cookies: found.reason === "replaced" ? [] : [browserSessions.clearCookie()],
      };
  }
}

/** What the tokens of the page's forms are bound to: see `tokenOf` in http/page.ts. */
function ownerOfForms(given: {
  page: Page;
  header: (name: string) => string | undefined;
  person: Person | undefined;
  site: ReturnType<Dependencies["siteOf"]>;
  dependencies: Dependencies;
}): { token: string; cookies: readonly string[]; isGood: (token: string) => boolean } {
  const { page, person } = given;
  const { formTokens } = given.dependencies;
  const bound = (owner: FormOwner, cookies: readonly string[] = []) => ({
    token: formTokens.issue(owner),
    cookies,
    isGood: (token: string) => formTokens.isGood(token, owner) || isOfThisOrigin(token),
  });
  // Where nobody is signed in yet, and the browser itself says that a page of ours sent the form.
  const isOfThisOrigin = (token: string) =>
    page.tokenOf === "browser" && given.site === "same" && formTokens.isOfSomeBrowser(token);
  if (page.tokenOf === "browser") {
    const known = formTokens.nonceOf(given.header("cookie"));
    if (known !== undefined) return bound({ browser: known });
    const nonce = formTokens.newNonce();
    return bound({ browser: nonce }, [formTokens.setCookie(nonce)]);
  }
  // Nobody is signed in: such a page has no form to protect.
  if (person === undefined) return { token: "", cookies: [], isGood: () => false };
  return bound({ session: person.session.id });
}

function problemOf(
  error: unknown,
  { page, log }: { page: Page; log: Log },
): { problem: PageProblem; headers: Record<string, string> } {
  if (error instanceof Refusal) {
    const { code, extra } = error;
    const problem = code in pageProblems ? (code as PageProblem) : "invalid_request";
    return { problem, headers: { ...extra.headers } };
  }
  const where = { page: `${page.method} ${page.path}` };
  if (error instanceof DatabasePaused) return { problem: "unavailable", headers: { "Retry-After": "2" } };
  if (error instanceof DatabaseUnavailable) {
    log.error({ err: error, ...where }, "The database could not do its part");
    return { problem: "unavailable", headers: { "Retry-After": "1" } };
  }
  log.error({ err: error, ...where }, "A page failed");
  return { problem: "server_error", headers: {} };
}
