import type { Page, PageAnswer, PersonRequest } from "../http/page.ts";
import { unreachable } from "../primitives/assert.ts";
import type { Users } from "../users/users.ts";
import {
  type FieldProblems,
  formProblem,
  noProblems,
  postForm,
  problemSummary,
  textField,
} from "./form-parts.ts";
import { askedFrom, card, type MailParts, notAsked } from "./mail-parts.ts";
import { isRecent, type RecentParts } from "./recent.ts";
import { type NoticeCode, texts } from "./texts.ts";
import { type Html, html } from "./view.ts";

interface Parts extends MailParts, RecentParts {
  readonly users: Pick<Users, "hasPassword">;
}

const PATH = "/account/email";

/** GET and POST /account/email for another address; what the buttons of the account page do for the one of now. */
export function addressPages(parts: Parts): Page[] {
  const { view, mailing } = parts;
  const words = texts.mail.change;
  const back = (notice: NoticeCode): PageAnswer => ({ location: view.url("/account", { notice }) });
  const strangersGoTo = () => view.url("/sign-in", { return_to: view.url("/account") });

  function form(request: PersonRequest, problems: FieldProblems): string {
    const { email } = request.person.user;
    const typed = request.field("email");
    const fields = html`${textField({ name: "email", label: words.label, type: "email", autocomplete: "email", value: typed, isFirst: true, problems })}
<button>${words.submit}</button>`;
    const body = html`${card(
      words.title,
      html`${problemSummary(problems)}
${email !== undefined && html`<p>${words.now(email)}</p>`}
<p class="muted">${words.about}</p>
${postForm({ action: view.url(PATH), token: request.formToken }, fields)}`,
    )}
<p class="below"><a href="${view.url("/account")}">${words.back}</a></p>`;
    return view.page({ title: words.title, body, isError: problems.size > 0 });
  }

  /** Whoever has the address has the account, by the next forgotten password: the owner is asked again. */
  async function proofFirst({ person }: PersonRequest): Promise<PageAnswer | undefined> {
    if (await isRecent(person, parts)) return undefined;
    const returnTo = view.url(PATH);
    const { passkeys } = await parts.factors.ownedBy(person.user.id);
    const canProve = passkeys.length > 0 || (await parts.users.hasPassword(person.user.id));
    return {
      location: canProve
        ? view.url("/step-up", { return_to: returnTo })
        : view.url("/sign-in", { as: "someone-else", return_to: returnTo }),
    };
  }

  async function submit(request: PersonRequest): Promise<PageAnswer> {
    const { person, field } = request;
    const asked = await mailing.ask.change(person.user, field("email"), askedFrom(request));
    switch (asked.outcome) {
      case "asked":
        return back("address-asked");
      case "unchanged":
        return back("address-same");
      case "invalid":
      case "too_many_attempts":
        return notAsked(asked, (problems) => form(request, problems));
      default:
        return unreachable(asked);
    }
  }

  async function sendAgain(request: PersonRequest): Promise<PageAnswer> {
    const asked = await mailing.ask.verification(request.person.user, askedFrom(request));
    switch (asked.outcome) {
      case "asked":
        return back("address-sent");
      case "already_verified":
        return back("address-confirmed");
      case "no_address":
        return back("address-none");
      case "too_many_attempts":
        return back("address-wait");
      default:
        return unreachable(asked);
    }
  }

  async function byDigits({ person, field, ip }: PersonRequest): Promise<PageAnswer> {
    const confirmed = await mailing.addresses.confirmByDigits(field("code"), { userId: person.user.id, ip });
    switch (confirmed.outcome) {
      case "verified":
      case "changed":
        return back("address-confirmed");
      case "too_many_attempts":
        return back("address-wait");
      case "invalid_mail_code":
      case "other_account":
      case "email_taken":
        return back("address-wrong");
      default:
        return unreachable(confirmed);
    }
  }

  const person = { access: "person", strangersGoTo } as const;
  return [
    {
      ...person,
      method: "GET",
      path: PATH,
      summary: "The form for another e-mail address; who has not proven lately who they are does so first",
      handle: async (request: PersonRequest): Promise<PageAnswer> =>
        (await proofFirst(request)) ?? { status: 200, html: form(request, noProblems) },
    },
    {
      ...person,
      method: "POST",
      path: PATH,
      summary: "Asks for a link to the new address",
      fields: { email: { about: "The new address" } },
      handle: async (request: PersonRequest): Promise<PageAnswer> =>
        (await proofFirst(request)) ?? submit(request),
      again: (request: PersonRequest): PageAnswer => ({
        status: 403,
        html: form(request, formProblem(texts.formOutOfDate)),
      }),
    },
    {
      ...person,
      method: "POST",
      path: `${PATH}/send`,
      summary: "Sends the letter that confirms the address of now once more",
      handle: sendAgain,
    },
    {
      ...person,
      method: "POST",
      path: `${PATH}/code`,
      summary: "Confirms the address of now by the six digits of that letter",
      fields: { code: { about: "The digits" } },
      handle: byDigits,
    },
  ];
}

/** "E-mail address" of the account page; nothing where no mail is sent. */
export function addressSection(
  { person, formToken: token }: PersonRequest,
  { view, mailing }: Pick<MailParts, "view" | "mailing">,
): Html | undefined {
  if (!mailing.isOn) return undefined;
  const words = texts.mail.address;
  const { email, emailVerified } = person.user;
  const code = html`${textField({ name: "code", label: words.codeLabel, autocomplete: "one-time-code" })}
<button class="quiet">${words.codeSubmit}</button>`;
  const open = html`${postForm({ action: view.url(`${PATH}/code`), token }, code)}
${postForm({ action: view.url(`${PATH}/send`), token }, html`<button class="quiet small">${words.sendAgain}</button>`)}`;
  const now =
    email === undefined
      ? html`<p class="muted">${words.none}</p>`
      : html`<p>${emailVerified ? words.confirmed(email) : words.open(email)}</p>${!emailVerified && open}`;
  return html`<section aria-labelledby="address"><h2 id="address">${words.title}</h2><p class="about">${words.about}</p>
${now}
<p><a class="button quiet" href="${view.url(PATH)}">${email === undefined ? words.add : words.change}</a></p></section>`;
}
