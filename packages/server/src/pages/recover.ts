import type { Page, PageAnswer, PageRequest } from "../http/page.ts";
import { unreachable } from "../primitives/assert.ts";
import { isRecovered } from "../sessions/acr.ts";
import type { Factors } from "../users/factors/factors.ts";
import {
  type FieldProblems,
  formProblem,
  hidden,
  noProblems,
  postForm,
  problemSummary,
  textField,
} from "./form-parts.ts";
import { returnPath } from "./return-to.ts";
import { answerArrived, refused, type SignInParts } from "./sign-in.ts";
import { texts } from "./texts.ts";
import { type Html, html, type View } from "./view.ts";

type Parts = Pick<SignInParts, "view" | "clientId" | "browserSessions" | "metrics" | "ticketCookies"> & {
  readonly factors: Pick<Factors, "recover">;
};

/** GET and POST /recover: a recovery code alone, for who has lost the passkey that was the only way in. */
export function recoverPages(parts: Parts): Page[] {
  const { view, factors, metrics } = parts;
  const words = texts.factors.recover;

  function form(request: PageRequest, problems: FieldProblems): string {
    const returnTo = returnPath(request.field("return_to") || request.query.return_to);
    const fields = html`${hidden("return_to", returnTo)}
${textField({ name: "username", label: texts.signIn.nameLabel, autocomplete: "username", value: request.field("username"), isFirst: true, problems })}
${textField({ name: "code", label: words.codeLabel, autocomplete: "one-time-code", problems })}
<button>${words.submit}</button>`;
    const body = html`<div class="card">
<h1>${words.title}</h1>
${problemSummary(problems)}
<p>${words.about}</p>
${postForm({ action: view.url("/recover"), token: request.formToken }, fields)}
</div>
<p class="below"><a href="${view.url("/sign-in", { return_to: returnTo })}">${words.back}</a></p>`;
    return view.page({ title: words.title, body, isError: problems.size > 0 });
  }

  async function submit(request: PageRequest): Promise<PageAnswer> {
    const [username, code] = [request.field("username"), request.field("code")];
    const again = (problems: FieldProblems) => form(request, problems);
    if (username === "" || code === "") return { status: 422, html: again(formProblem(words.missing)) };
    const { ip, userAgent, person } = request;
    const recovered = await factors.recover({
      username,
      code,
      clientId: parts.clientId,
      kind: "browser",
      replaces: person?.session,
      ip,
      userAgent,
    });
    metrics.signedIn(recovered.outcome);
    switch (recovered.outcome) {
      case "recovery_refused":
        return { status: 401, html: again(formProblem(words.wrong)) };
      case "too_many_attempts":
        return refused(
          { problem: "too_many_attempts", retryAfterSeconds: recovered.retryAfterSeconds },
          again,
        );
      case "signed_in":
        // To the account and nowhere else: the next loss would be the last.
        return answerArrived(recovered, { field: () => "", query: {} }, parts);
      case "second_factor_required":
        return answerArrived(recovered, request, parts);
      default:
        return unreachable(recovered);
    }
  }

  const base = { access: "anyone", tokenOf: "browser", path: "/recover" } as const;
  const returnTo = { about: "Where to go on afterwards, if a second factor is asked for too" };
  return [
    {
      ...base,
      method: "GET",
      summary: "The form for who has lost the passkey that was the only way to sign in",
      query: { return_to: returnTo },
      handle: (request: PageRequest): PageAnswer => ({ status: 200, html: form(request, noProblems) }),
    },
    {
      ...base,
      method: "POST",
      summary: "Signs in by a recovery code alone, and leads to the account",
      fields: {
        username: { about: "Username or e-mail address" },
        code: { about: "A recovery code" },
        return_to: returnTo,
      },
      handle: submit,
      again: (request: PageRequest): PageAnswer => ({
        status: 403,
        html: form(request, formProblem(texts.formOutOfDate)),
      }),
    },
  ];
}

/** What who came back by a recovery code should do now, for the account page; nothing for everybody else. */
export function recoveredPart(view: View, session: { readonly amr: readonly string[] }): Html | undefined {
  if (!isRecovered(session.amr)) return undefined;
  const words = texts.factors.recover;
  return html`<div class="notice bad"><h2>${words.nextTitle}</h2><p>${words.next}</p></div>
<p class="actions"><a class="button" href="${view.url("/account/factors")}">${words.addPasskey}</a><a class="button quiet" href="${view.url("/account/password/first")}">${words.setPassword}</a></p>`;
}
