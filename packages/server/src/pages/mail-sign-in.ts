import type { Page, PageAnswer, PageRequest } from "../http/page.ts";
import { limits } from "../primitives/limits.ts";
import type { MailSignedIn } from "../users/mailing/mail-sign-in.ts";
import {
  type FieldProblems,
  formProblem,
  hidden,
  noProblems,
  postForm,
  problemSummary,
  textField,
} from "./form-parts.ts";
import { askedFrom, card, linkGone, type MailParts, notAsked } from "./mail-parts.ts";
import { returnPath } from "./return-to.ts";
import { answerArrived, nameOf, refused, type SignInParts } from "./sign-in.ts";
import { texts } from "./texts.ts";
import { html } from "./view.ts";

type Parts = MailParts &
  Pick<SignInParts, "clientId" | "browserSessions" | "ticketCookies" | "metrics"> & {
    readonly settings: { readonly siteName: string };
  };

const [ASK, CODE, LINK] = ["/sign-in/mail", "/sign-in/mail/code", "/sign-in/mail/link"];

/** /sign-in/mail asks for a letter, /sign-in/mail/code takes its digits, /sign-in/mail/link is where its link leads. */
export function mailSignInPages(parts: Parts): Page[] {
  const { view, mailing, mailCookies, settings, metrics } = parts;
  const { signInTicket: ticket, signInLink: link } = mailCookies;
  const words = texts.mail.signIn;
  const returnToOf = (request: PageRequest) =>
    returnPath(request.field("return_to") || request.query.return_to);

  function askForm(request: PageRequest, problems: FieldProblems): string {
    const returnTo = returnToOf(request);
    const fields = html`${hidden("return_to", returnTo)}
${textField({ name: "email", label: texts.emailLabel, type: "email", autocomplete: "email", value: request.field("email"), isFirst: true, problems })}
<button>${words.submit}</button>`;
    const body = html`${card(
      words.title,
      html`${problemSummary(problems)}
<p>${words.about}</p>
${postForm({ action: view.url(ASK), token: request.formToken }, fields)}`,
    )}
<p class="below"><a href="${view.url("/sign-in", { return_to: returnTo })}">${texts.mail.toSignIn}</a></p>`;
    return view.page({ title: words.title, body, isError: problems.size > 0 });
  }

  async function ask(request: PageRequest): Promise<PageAnswer> {
    const asked = await mailing.ask.signIn(request.field("email"), askedFrom(request));
    if (asked.outcome !== "asked") return notAsked(asked, (problems) => askForm(request, problems));
    const location = view.url(CODE, { return_to: returnToOf(request) });
    return { location, cookies: [ticket.set(asked.ticket)] };
  }

  function codeForm(request: PageRequest, problems: FieldProblems): string {
    const returnTo = returnToOf(request);
    const fields = html`${hidden("return_to", returnTo)}
${textField({ name: "code", label: words.codeLabel, autocomplete: "one-time-code", isFirst: true, problems })}
<button>${words.codeSubmit}</button>`;
    const body = html`${card(
      words.sentTitle,
      html`${problemSummary(problems)}
<p>${words.sent}</p>
<p class="muted">${texts.mail.lookForIt(limits.signInByMailMinutes)}</p>
${postForm({ action: view.url(CODE), token: request.formToken }, fields)}`,
    )}
<p class="below"><a href="${view.url(ASK, { return_to: returnTo })}">${words.again}</a></p>`;
    return view.page({ title: words.sentTitle, body, isError: problems.size > 0 });
  }

  const arrivalOf = ({ ip, userAgent, person }: PageRequest) => ({
    clientId: parts.clientId,
    kind: "browser" as const,
    replaces: person?.session,
    ip,
    userAgent,
  });

  /** The way on for who is signed in, with both cookies of the mail gone; undefined for everybody else. */
  function arrivedAnswer(result: MailSignedIn, request: PageRequest): PageAnswer | undefined {
    metrics.signedIn(result.outcome);
    if (result.outcome === "invalid_mail_code" || result.outcome === "too_many_attempts") return undefined;
    const { location, cookies } = answerArrived(result, request, parts);
    return { location, cookies: [...cookies, ticket.clear(), link.clear()] };
  }

  /** Without a ticket there is nothing whose digits could be typed. */
  const askFirst = (request: PageRequest): PageAnswer => ({
    location: view.url(ASK, { return_to: returnToOf(request) }),
  });

  async function submitCode(request: PageRequest): Promise<PageAnswer> {
    const held = ticket.valueIn(request);
    if (held === undefined) return askFirst(request);
    const typed = { ticket: held, digits: request.field("code") };
    const result = await mailing.mailSignIn.byDigits(typed, arrivalOf(request));
    const answer = arrivedAnswer(result, request);
    if (answer !== undefined) return answer;
    const again = (problems: FieldProblems) => codeForm(request, problems);
    if (result.outcome === "too_many_attempts") {
      return refused({ problem: "too_many_attempts", retryAfterSeconds: result.retryAfterSeconds }, again);
    }
    return { status: 401, html: again(new Map([["code", words.wrong]])) };
  }

  /** Who follows a link is asked: it may be somebody else's, who would then read what is written here. */
  async function linkForm(request: PageRequest, problems: FieldProblems): Promise<string | undefined> {
    const secret = link.valueIn(request);
    const user = secret === undefined ? undefined : await mailing.mailSignIn.find(secret);
    if (user === undefined) return undefined;
    const { person } = request;
    const body = card(
      words.linkTitle,
      html`${problemSummary(problems)}
<p>${words.linkAbout(settings.siteName, user.username)}</p>
<p class="muted">${words.linkWarning}</p>
${person && html`<p class="muted">${words.takesPlace(nameOf(person))}</p>`}
${postForm({ action: view.url(LINK), token: request.formToken }, html`<button>${words.linkSubmit(user.username)}</button>`)}`,
    );
    return view.page({ title: words.linkTitle, body, isError: problems.size > 0 });
  }

  const gone = () => linkGone(view, { path: ASK, label: words.again });

  async function showLink(request: PageRequest): Promise<PageAnswer> {
    const { token } = request.query;
    if (token !== undefined) return { location: view.url(LINK), cookies: [link.set(token)] };
    const form = await linkForm(request, noProblems);
    return form === undefined ? gone() : { status: 200, html: form };
  }

  async function submitLink(request: PageRequest): Promise<PageAnswer> {
    const result = await mailing.mailSignIn.byLink(link.valueIn(request) ?? "", arrivalOf(request));
    return arrivedAnswer(result, request) ?? { ...gone(), cookies: [link.clear()] };
  }

  const base = { access: "anyone", tokenOf: "browser" } as const;
  const about = "Where to go on afterwards: a path of this origin";
  return [
    {
      ...base,
      method: "GET",
      path: ASK,
      summary: "The form that asks for a letter to sign in with",
      query: { return_to: { about } },
      handle: (request: PageRequest): PageAnswer => ({ status: 200, html: askForm(request, noProblems) }),
    },
    {
      ...base,
      method: "POST",
      path: ASK,
      summary: "Asks for that letter; the answer is the same whether or not anybody has the address",
      fields: { email: { about: "The address" }, return_to: { about } },
      handle: ask,
      again: (request: PageRequest): PageAnswer => ({
        status: 403,
        html: askForm(request, formProblem(texts.formOutOfDate)),
      }),
    },
    {
      ...base,
      method: "GET",
      path: CODE,
      summary: "The form for the six digits of the letter, in the browser that asked for it",
      query: { return_to: { about } },
      handle: (request: PageRequest): PageAnswer =>
        ticket.valueIn(request) === undefined
          ? askFirst(request)
          : { status: 200, html: codeForm(request, noProblems) },
    },
    {
      ...base,
      method: "POST",
      path: CODE,
      summary: "Signs in by the six digits",
      fields: { code: { about: "The digits" }, return_to: { about } },
      handle: submitCode,
      again: (request: PageRequest): PageAnswer => ({
        status: 403,
        html: codeForm(request, formProblem(texts.formOutOfDate)),
      }),
    },
    {
      ...base,
      method: "GET",
      path: LINK,
      summary:
        "Where the letter's link leads: sets its secret aside in a cookie, then asks whether to sign in",
      query: { token: { about: "The secret of the link" } },
      handle: showLink,
    },
    {
      ...base,
      method: "POST",
      path: LINK,
      summary: "Signs in by the link, once",
      handle: submitLink,
      async again(request: PageRequest): Promise<PageAnswer> {
        const form = await linkForm(request, formProblem(texts.formOutOfDate));
        return form === undefined ? gone() : { status: 403, html: form };
      },
    },
  ];
}
