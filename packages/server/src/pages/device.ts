import type { Client } from "../clients/client.ts";
import type { Page, PageAnswer, PageRequest, PersonRequest } from "../http/page.ts";
import type { DeviceCodes, DeviceRequest, Looked } from "../oauth/device-codes.ts";
import { unreachable } from "../primitives/assert.ts";
import type { Sql } from "../storage/database.ts";
import {
  type FieldProblems,
  formProblem,
  hidden,
  noProblems,
  postForm,
  problemSummary,
  textField,
} from "./form-parts.ts";
import { nameOf, refused } from "./sign-in.ts";
import { texts } from "./texts.ts";
import { html, type View } from "./view.ts";

interface Parts {
  readonly view: View;
  readonly deviceCodes: Pick<DeviceCodes, "look" | "decide">;
  readonly clients: { find(id: string): Promise<Client | undefined> };
  /** What remembers the consent, in the transaction that lets the device in. */
  readonly recordConsent?:
    | ((
        given: DeviceRequest & {
          readonly userId: string;
          readonly ip: string | undefined;
          readonly onlyIf: Sql;
        },
      ) => readonly Sql[])
    | undefined;
}

/** GET and POST /device, RFC 8628 §3.3: the user lets a device in that shows them a code. */
export function devicePages({ view, deviceCodes, clients, recordConsent }: Parts): Page[] {
  const words = texts.device;
  const path = view.url("/device");

  /** A form that only leads on, so it is sent by GET: what it does is look. */
  function codeForm(request: PageRequest, problems: FieldProblems): string {
    const value = request.query.user_code ?? "";
    const body = html`<div class="card">
<h1>${words.title}</h1>
${problemSummary(problems)}
<p>${words.about}</p>
<form method="get" action="${path}" novalidate>
${textField({ name: "user_code", label: words.codeLabel, hint: words.codeHint, autocomplete: "off", value: value.slice(0, 32), isFirst: true, problems })}
<button>${words.next}</button>
</form>
</div>`;
    return view.page({
      title: words.title,
      body,
      isError: problems.size > 0,
      person: request.person,
    });
  }

  function done(request: PersonRequest, isAllowed: boolean): PageAnswer {
    const [title, text] = isAllowed ? [words.allowedTitle, words.allowed] : [words.deniedTitle, words.denied];
    const body = html`<div class="card">
<h1>${title}</h1>
<p>${text}</p>
<p class="actions"><a class="button" href="${view.url("/account")}">${words.devices}</a><a class="button quiet" href="${path}">${words.another}</a></p>
</div>`;
    return { status: 200, html: view.page({ title, body, person: request.person }) };
  }

  /**
   * RFC 8628 §3.3.1: "If the user is […] presented with the user code, the authorization server SHOULD […] confirm that
   * the code they are seeing is the same"; §5.4: against somebody who sends the link to others.
   */
  async function confirm(
    request: PersonRequest,
    { userCode, request: asked }: Extract<Looked, { outcome: "found" }>,
  ): Promise<PageAnswer> {
    const client = await clients.find(asked.clientId);
    if (client === undefined) return wrongCode(request);
    const scopes = asked.scope.split(" ").map((scope) => words.scopes[scope] ?? words.otherScope(scope));
    const title = words.question(client.name);
    const fields = html`${hidden("user_code", userCode)}
<p class="actions"><button name="decision" value="allow">${words.allow}</button><button class="quiet" name="decision" value="deny">${words.deny}</button></p>`;
    const body = html`<div class="card">
<h1>${title}</h1>
<p>${words.compare}</p>
<p class="user-code">${userCode}</p>
<p>${words.warning}</p>
<p>${words.asks}</p>
<ul>${scopes.map((one) => html`<li>${one}</li>`)}</ul>
${asked.resources.length > 0 && html`<ul>${asked.resources.map((one) => html`<li>${one}</li>`)}</ul>`}
<p class="muted">${words.asUser(nameOf(request.person))}</p>
${postForm({ action: path, token: request.formToken }, fields)}
</div>`;
    return { status: 200, html: view.page({ title, body, person: request.person }) };
  }

  const wrongCode = (request: PageRequest): PageAnswer => ({
    status: 422,
    html: codeForm(request, new Map([["user_code", words.unknown]])),
  });

  function unlooked(request: PersonRequest, looked: Exclude<Looked, { outcome: "found" }>): PageAnswer {
    switch (looked.outcome) {
      case "unknown_code":
        return wrongCode(request);
      case "too_many_attempts":
        return refused(
          { problem: "too_many_attempts", retryAfterSeconds: looked.retryAfterSeconds },
          (problems) => codeForm(request, problems),
        );
      default:
        return unreachable(looked);
    }
  }

  async function show(request: PersonRequest): Promise<PageAnswer> {
    const { user_code: typed, done: decision } = request.query;
    if (decision === "allowed" || decision === "denied") return done(request, decision === "allowed");
    if (typed === undefined) return { status: 200, html: codeForm(request, noProblems) };
    if (typed.trim() === "") return { status: 422, html: codeForm(request, formProblem(words.missing)) };
    const looked = await deviceCodes.look(typed, { userId: request.person.user.id, ip: request.ip });
    return looked.outcome === "found" ? confirm(request, looked) : unlooked(request, looked);
  }

  async function submit(request: PersonRequest): Promise<PageAnswer> {
    const { person, field, ip } = request;
    const decision = field("decision");
    if (decision !== "allow" && decision !== "deny") return { problem: "invalid_request" };
    const isAllowed = decision === "allow";
    const looked = await deviceCodes.decide(field("user_code"), {
      session: person.session,
      isAllowed,
      ip,
      also: (asked, onlyIf) => recordConsent?.({ ...asked, userId: person.user.id, ip, onlyIf }) ?? [],
    });
    if (looked.outcome !== "found") return unlooked(request, looked);
    return { location: view.url("/device", { done: isAllowed ? "allowed" : "denied" }) };
  }

  const strangersGoTo = ({ query }: PageRequest) =>
    view.url("/sign-in", { return_to: view.url("/device", { user_code: query.user_code }) });
  return [
    {
      method: "GET",
      path: "/device",
      summary: "Where the user of a device without a browser types its code, and sees what it asks for",
      access: "person",
      query: {
        user_code: { about: "The code that the device shows" },
        done: { about: "`allowed` or `denied`: what was decided" },
      },
      strangersGoTo,
      handle: show,
    },
    {
      method: "POST",
      path: "/device",
      summary: "Lets the device in, or denies it",
      access: "person",
      fields: {
        user_code: { about: "The code that the device shows" },
        decision: { about: "`allow` or `deny`" },
      },
      strangersGoTo: () => view.url("/sign-in", { return_to: path }),
      handle: submit,
    },
  ];
}
