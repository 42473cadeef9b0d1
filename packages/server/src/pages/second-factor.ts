import { parse, serialize } from "hono/utils/cookie";
import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { Page, PageAnswer, PageRequest } from "../http/page.ts";
import type { Metrics } from "../observability/metrics.ts";
import { unreachable } from "../primitives/assert.ts";
import { limits } from "../primitives/limits.ts";
import type { Factors } from "../users/factors/factors.ts";
import { ownerOfTicket, type Waiting } from "../users/factors/second-step.ts";
import {
  type FieldProblems,
  formProblem,
  hidden,
  noProblems,
  postForm,
  problemSummary,
  textField,
} from "./form-parts.ts";
import { passkeyArea, passkeyFrom } from "./passkey-area.ts";
import { qrCode } from "./qr.ts";
import { recoveryCodesPage } from "./recovery-codes.ts";
import { returnPath } from "./return-to.ts";
import { texts } from "./texts.ts";
import { type Html, html, type View } from "./view.ts";

interface Parts {
  readonly view: View;
  readonly factors: Pick<Factors, "secondStep" | "requestOptions" | "signInByPasskey">;
  readonly browserSessions: Pick<BrowserSessions, "setCookie">;
  readonly browserOf: (request: Pick<PageRequest, "header">) => string;
  readonly clientId: string;
  readonly metrics: Pick<Metrics, "signedIn">;
  readonly ticketCookies: TicketCookies;
}

export type TicketCookies = ReturnType<typeof createTicketCookies>;

/** Where a browser keeps the ticket of a sign-in that waits: out of reach of scripts, of other hosts, of addresses. */
export function createTicketCookies({ issuer }: { issuer: string }) {
  const secure = issuer.startsWith("https:");
  const name = secure ? "__Host-keyturn-ticket" : "keyturn-ticket";
  const options = { path: "/", httpOnly: true, sameSite: "Lax", secure } as const;
  return {
    valueIn(request: Pick<PageRequest, "header">): string | undefined {
      const cookies = request.header("cookie");
      return cookies === undefined ? undefined : parse(cookies, name)[name];
    },
    set: (ticket: string) => serialize(name, ticket, { ...options, maxAge: limits.ticketMinutesMax * 60 }),
    clear: () => serialize(name, "", { ...options, maxAge: 0 }),
  };
}

/** GET and POST /sign-in/second-factor, POST /sign-in/passkey. */
export function secondFactorPages(parts: Parts): Page[] {
  const { view, factors, browserSessions, ticketCookies, metrics } = parts;
  const { secondStep } = factors;
  const words = texts.factors.secondStep;
  const returnToOf = (request: PageRequest) =>
    returnPath(request.field("return_to") || request.query.return_to);
  const beginAgain = (request: PageRequest): PageAnswer => ({
    location: view.url("/sign-in", { return_to: returnToOf(request) }),
    cookies: [ticketCookies.clear()],
  });

  const notAccepted = (request: PageRequest): PageAnswer => ({
    location: view.url("/sign-in", { problem: "passkey", return_to: returnToOf(request) }),
  });

  async function waitingOf(request: PageRequest): Promise<{ text: string; waiting: Waiting } | undefined> {
    const text = ticketCookies.valueIn(request);
    const waiting = text === undefined ? undefined : await secondStep.look(text);
    return text !== undefined && waiting !== undefined ? { text, waiting } : undefined;
  }

  async function passkeyPart(
    request: PageRequest,
    { ticket, user, owned }: Waiting,
  ): Promise<Html | undefined> {
    if (owned.passkeys.length === 0) return undefined;
    const use = { purpose: "second-factor", owner: ownerOfTicket(ticket) } as const;
    return passkeyArea({
      kind: "get",
      options: await factors.requestOptions(use, user.id),
      action: view.url("/sign-in/second-factor"),
      token: request.formToken,
      button: words.passkey,
      returnTo: returnToOf(request),
    });
  }

  async function enrolPart(text: string): Promise<Html | undefined> {
    const pending = await secondStep.beginTotp(text);
    return pending && totpSecret(pending);
  }

  async function form(
    request: PageRequest,
    found: { text: string; waiting: Waiting },
    problems: FieldProblems,
  ): Promise<string> {
    const { waiting, text } = found;
    const isEnrolment = waiting.ticket.purpose === "enrolment";
    const { totp, methods } = waiting.owned;
    const aboutCode = totp ? words.aboutCode : words.aboutRecovery;
    const takesCode = isEnrolment || totp || methods.includes("recovery_code");
    const title = isEnrolment ? texts.factors.enrol.title : words.title;
    const fields = html`${hidden("return_to", returnToOf(request))}
${textField({ name: "code", label: isEnrolment ? texts.factors.totp.codeLabel : words.codeLabel, autocomplete: "one-time-code", isFirst: true, problems })}
<button>${words.submit}</button>`;
    const body = html`<div class="card">
<h1>${title}</h1>
${problemSummary(problems)}
<p>${isEnrolment ? texts.factors.enrol.about : words.about}</p>
${isEnrolment ? await enrolPart(text) : await passkeyPart(request, waiting)}
${takesCode && !isEnrolment && html`<p class="muted">${aboutCode}</p>`}
${takesCode && postForm({ action: view.url("/sign-in/second-factor"), token: request.formToken }, fields)}
</div>
<p class="below"><a href="${view.url("/sign-in", { return_to: returnToOf(request) })}">${words.back}</a></p>`;
    return view.page({ title, body, isError: problems.size > 0, hasScript: true });
  }

  async function submit(request: PageRequest): Promise<PageAnswer> {
    const found = await waitingOf(request);
    if (found === undefined) return beginAgain(request);
    const { ip, userAgent, person } = request;
    const passkey = passkeyFrom(request.field("passkey"));
    const code = passkey === undefined ? request.field("code") : undefined;
    const taken = await secondStep.finish({
      ticket: found.text,
      code,
      passkey,
      ip,
      userAgent,
      replaces: person?.session,
    });
    metrics.signedIn(taken.outcome);
    switch (taken.outcome) {
      case "signed_in": {
        const cookies = [browserSessions.setCookie(taken), ticketCookies.clear()];
        const onTo = returnToOf(request) ?? view.url("/account");
        const { recoveryCodes: codes } = taken;
        // Shown in answer to the form, and nowhere else: a page of their own would have to keep them.
        return codes === undefined
          ? { location: onTo, cookies }
          : { status: 200, html: recoveryCodesPage(view, { codes, onTo }), cookies };
      }
      case "invalid_ticket":
        return beginAgain(request);
      case "wrong_code": {
        const wrong = found.waiting.ticket.purpose === "enrolment" ? texts.factors.totp.wrong : words.wrong;
        return { status: 401, html: await form(request, found, new Map([["code", wrong]])) };
      }
      case "too_many_attempts": {
        const { retryAfterSeconds } = taken;
        return {
          status: 429,
          html: await form(request, found, formProblem(texts.tooManyAttempts(retryAfterSeconds))),
          headers: { "Retry-After": String(retryAfterSeconds) },
        };
      }
      default:
        return unreachable(taken);
    }
  }

  async function byPasskey(request: PageRequest): Promise<PageAnswer> {
    const { ip, userAgent, person } = request;
    const passkey = passkeyFrom(request.field("passkey"));
    const arrived =
      passkey === undefined
        ? undefined
        : await factors.signInByPasskey(passkey, {
            owner: parts.browserOf(request),
            clientId: parts.clientId,
            kind: "browser",
            replaces: person?.session,
            ip,
            userAgent,
          });
    metrics.signedIn(arrived?.outcome ?? "invalid_passkey");
    if (arrived === undefined) {
      return notAccepted(request);
    }
    return {
      location: returnToOf(request) ?? view.url("/account"),
      cookies: [browserSessions.setCookie(arrived)],
    };
  }

  const base = { access: "anyone", tokenOf: "browser", hasScript: true } as const;
  return [
    {
      ...base,
      method: "GET",
      path: "/sign-in/second-factor",
      summary: "The second step of a sign-in: a code, a passkey, or setting one up where one must be had",
      query: { return_to: { about: "Where to go on afterwards: a path of this origin" } },
      async handle(request: PageRequest): Promise<PageAnswer> {
        const found = await waitingOf(request);
        if (found === undefined) return beginAgain(request);
        return { status: 200, html: await form(request, found, noProblems) };
      },
    },
    {
      ...base,
      method: "POST",
      path: "/sign-in/second-factor",
      summary: "Takes the second step, by the ticket in a cookie of its own",
      fields: {
        code: { about: "Six digits, or a recovery code" },
        passkey: { about: "In place of the code: what the browser answers for a passkey, as JSON" },
        return_to: { about: "Where to go on afterwards: a path of this origin; /account otherwise" },
      },
      handle: submit,
      async again(request: PageRequest): Promise<PageAnswer> {
        const found = await waitingOf(request);
        if (found === undefined) return beginAgain(request);
        return { status: 403, html: await form(request, found, formProblem(texts.formOutOfDate)) };
      },
    },
    {
      ...base,
      method: "POST",
      path: "/sign-in/passkey",
      summary: "Signs in by a passkey alone",
      fields: {
        passkey: { about: "What the browser answers for the passkey, as JSON" },
        return_to: { about: "Where to go on afterwards: a path of this origin; /account otherwise" },
      },
      handle: byPasskey,
      again: notAccepted,
    },
  ];
}

/** A secret to scan, or to type. */
export async function totpSecret({ secret, uri }: { secret: string; uri: string }): Promise<Html> {
  const words = texts.factors.totp;
  return html`<p>${words.scan}</p>
${await qrCode(uri)}
<p class="muted">${words.secret} <code class="secret">${secret.replace(/(.{4})(?=.)/g, "$1 ")}</code></p>`;
}
