import type { Page, PageAnswer, PersonRequest } from "../http/page.ts";
import { unreachable } from "../primitives/assert.ts";
import type { Clock } from "../primitives/clock.ts";
import { isId } from "../primitives/id.ts";
import type { Factors } from "../users/factors/factors.ts";
import type { FactorAdded, Own } from "../users/factors/managing.ts";
import type { OwnedFactors } from "../users/factors/owned.ts";
import type { Passkey } from "../users/factors/passkey.ts";
import {
  type FieldProblems,
  formProblem,
  hidden,
  noProblems,
  noticeOf,
  postForm,
  problemSummary,
  textField,
} from "./form-parts.ts";
import { passkeyArea, passkeyFrom } from "./passkey-area.ts";
import { recoveryCodesPage } from "./recovery-codes.ts";
import { totpSecret } from "./second-factor.ts";
import { type NoticeCode, texts } from "./texts.ts";
import { type Html, html, type View } from "./view.ts";

interface Parts {
  readonly view: View;
  readonly factors: Pick<Factors, "managing" | "ownedBy" | "stepUp">;
  readonly clock: Clock;
}

const HERE = "/account/factors";

/** GET /account/factors, and what its buttons do. Every act needs a recent proof: else the way leads over /step-up. */
export function factorPages(parts: Parts): Page[] {
  const { view, factors } = parts;
  const { managing, stepUp, ownedBy } = factors;
  const back = (notice: NoticeCode): PageAnswer => ({ location: view.url(HERE, { notice }) });
  const strangersGoTo = () => view.url("/sign-in", { return_to: view.url(HERE) });
  const own = ({ person, ip }: PersonRequest): Own => ({ ...person, ip });

  /** The act, or the way to a proof and back. */
  const guarded =
    (path: string, act: (request: PersonRequest) => Promise<PageAnswer>) =>
    async (request: PersonRequest): Promise<PageAnswer> => {
      const { user, session } = request.person;
      if (stepUp.isRecent(session, await ownedBy(user.id))) return act(request);
      const returnTo = view.url(path, path === HERE ? { notice: "proven-now" } : {});
      return { location: view.url("/step-up", { return_to: returnTo }) };
    };

  const added = (result: FactorAdded, notice: NoticeCode): PageAnswer => {
    if (result.outcome === "refused") return back("passkey-refused");
    const { recoveryCodes: codes } = result;
    if (codes === undefined) return back(notice);
    return { status: 200, html: recoveryCodesPage(view, { codes, onTo: view.url(HERE, { notice }) }) };
  };

  async function addPasskey(request: PersonRequest): Promise<PageAnswer> {
    const response = passkeyFrom(request.field("passkey"));
    if (response === undefined) return back("passkey-refused");
    const result = await managing.addPasskey(own(request), { response, name: request.field("name") });
    return added(result, "passkey-added");
  }

  async function renamePasskey({ person, field, ip }: PersonRequest): Promise<PageAnswer> {
    const [id, name] = [field("id"), field("name")];
    const by = { actor: "user", ip } as const;
    const isDone = isId(id) && (await managing.renamePasskey(person.user.id, { id, name }, by));
    return back(isDone ? "passkey-renamed" : "factor-gone");
  }

  async function removePasskey({ person, field, ip }: PersonRequest): Promise<PageAnswer> {
    const id = field("id");
    const removed = isId(id)
      ? await managing.removePasskey(person.user.id, id, { actor: "user", ip })
      : "gone";
    switch (removed) {
      case "removed":
        return back("factor-removed");
      case "last_way_in":
        return back("passkey-last");
      case "gone":
        return back("factor-gone");
      default:
        return unreachable(removed);
    }
  }

  async function removeTotp({ person, ip }: PersonRequest): Promise<PageAnswer> {
    const isDone = await managing.removeTotp(person.user.id, { actor: "user", ip });
    return back(isDone ? "factor-removed" : "factor-gone");
  }

  async function newCodes(request: PersonRequest): Promise<PageAnswer> {
    const codes = await managing.remakeRecoveryCodes(own(request));
    if (codes === undefined) return back("factor-gone");
    return { status: 200, html: recoveryCodesPage(view, { codes, onTo: view.url(HERE) }) };
  }

  async function totpForm(request: PersonRequest, problems: FieldProblems): Promise<string | undefined> {
    const pending = await managing.beginTotp(own(request));
    if (pending === undefined) return undefined;
    const words = texts.factors.totp;
    const fields = html`${textField({ name: "code", label: words.codeLabel, autocomplete: "one-time-code", isFirst: true, problems })}
<button>${words.submit}</button>`;
    const body = html`<div class="card">
<h1>${words.title}</h1>
${problemSummary(problems)}
${await totpSecret(pending)}
${postForm({ action: view.url(`${HERE}/totp`), token: request.formToken }, fields)}
</div>
<p class="below"><a href="${view.url(HERE)}">${texts.factors.page.back}</a></p>`;
    return view.page({ title: words.title, body, isError: problems.size > 0 });
  }

  async function showTotp(request: PersonRequest): Promise<PageAnswer> {
    const page = await totpForm(request, noProblems);
    return page === undefined ? back("app-added") : { status: 200, html: page };
  }

  async function addTotp(request: PersonRequest): Promise<PageAnswer> {
    const result = await managing.addTotp(own(request), request.field("code"));
    if (result.outcome === "added") return added(result, "app-added");
    const isSlowed = result.outcome === "too_many_attempts";
    const problems = isSlowed
      ? formProblem(texts.tooManyAttempts(result.retryAfterSeconds))
      : new Map([["code", texts.factors.totp.wrong]]);
    const page = await totpForm(request, problems);
    return page === undefined ? back("app-added") : { status: isSlowed ? 429 : 422, html: page };
  }

  const idField = { id: { about: "Its id" } };
  const act = { method: "POST", access: "person", strangersGoTo } as const;
  return [
    {
      method: "GET",
      path: HERE,
      summary: "Passkeys, the authenticator app and recovery codes of who is signed in",
      access: "person",
      hasScript: true,
      query: { notice: { about: "A code of what was just done" } },
      strangersGoTo,
      handle: async (request) => ({ status: 200, html: await listPage(request, parts) }),
    },
    {
      ...act,
      path: `${HERE}/passkeys`,
      summary: "Adds a passkey; needs a proof of the last 15 minutes, as all that follow",
      fields: {
        name: { about: "What to call it" },
        passkey: { about: "What the browser answers for the new passkey, as JSON" },
      },
      handle: guarded(HERE, addPasskey),
    },
    {
      ...act,
      path: `${HERE}/passkeys/rename`,
      summary: "Renames a passkey",
      fields: { ...idField, name: { about: "The new name" } },
      handle: guarded(HERE, renamePasskey),
    },
    {
      ...act,
      path: `${HERE}/passkeys/remove`,
      summary: "Removes a passkey",
      fields: idField,
      handle: guarded(HERE, removePasskey),
    },
    {
      method: "GET",
      path: `${HERE}/totp`,
      summary: "A secret for an authenticator app, as QR code and text",
      access: "person",
      strangersGoTo,
      handle: guarded(`${HERE}/totp`, showTotp),
    },
    {
      ...act,
      path: `${HERE}/totp`,
      summary: "Switches the authenticator app on, by its first code",
      fields: { code: { about: "Six digits" } },
      handle: guarded(`${HERE}/totp`, addTotp),
    },
    {
      ...act,
      path: `${HERE}/totp/remove`,
      summary: "Removes the authenticator app",
      handle: guarded(HERE, removeTotp),
    },
    {
      ...act,
      path: `${HERE}/recovery-codes`,
      summary: "Makes new recovery codes and shows them this once",
      handle: guarded(HERE, newCodes),
    },
  ];
}

async function listPage(request: PersonRequest, parts: Parts): Promise<string> {
  const { view, factors } = parts;
  const { person, formToken: token, ip } = request;
  const words = texts.factors.page;
  const owned = await factors.ownedBy(person.user.id);
  const isRecent = factors.stepUp.isRecent(person.session, owned);
  const prove = html`<p>${words.proveFirst} <a href="${view.url("/step-up", { return_to: view.url(HERE) })}">${words.prove}</a></p>`;
  const button = (path: string, label: string, hint?: string) =>
    postForm(
      { action: view.url(`${HERE}${path}`), token },
      html`${hint && html`<p class="hint">${hint}</p>`}<button class="quiet">${label}</button>`,
    );
  const body = html`<h1>${words.title}</h1>
${noticeOf(request.query.notice)}
${!isRecent && prove}
<section aria-labelledby="passkeys"><h2 id="passkeys">${words.passkeys}</h2><p class="about">${words.passkeysAbout}</p>
${passkeyList(owned, { view, token, clock: parts.clock })}
${
  isRecent &&
  passkeyArea({
    kind: "create",
    options: await factors.managing.passkeyOptions({ ...person, ip }),
    action: view.url(`${HERE}/passkeys`),
    token,
    button: words.add,
    fields: textField({
      name: "name",
      label: words.addLabel,
      hint: words.addHint,
      autocomplete: "off",
      isOptional: true,
    }),
  })
}
<noscript><p class="muted">${words.needsScript}</p></noscript></section>
<section aria-labelledby="app"><h2 id="app">${words.app}</h2><p class="about">${owned.totp ? words.appOn : words.appOff}</p>
${owned.totp ? button("/totp/remove", words.remove) : html`<p><a class="button quiet" href="${view.url(`${HERE}/totp`)}">${words.appAdd}</a></p>`}</section>
<section aria-labelledby="recovery"><h2 id="recovery">${words.recovery}</h2><p class="about">${owned.hasSecond ? words.recoveryLeft(owned.recoveryCodes) : words.recoveryNone}</p>
${owned.hasSecond && button("/recovery-codes", words.recoveryNew, words.recoveryNewHint)}</section>
<p class="below"><a href="${view.url("/account")}">${words.back}</a></p>`;
  return view.page({ title: words.title, body, person, isWide: true, hasScript: true });
}

interface Listing {
  readonly view: View;
  readonly token: string;
  readonly clock: Clock;
}

function passkeyList({ passkeys }: OwnedFactors, listing: Listing): Html {
  const words = texts.factors.page;
  if (passkeys.length === 0) return html`<p>${words.noPasskeys}</p>`;
  return html`<ul class="rows">${passkeys.map((passkey) => passkeyRow(passkey, listing))}</ul>`;
}

function passkeyRow({ id, name, createdAt, usedAt }: Passkey, { view, token, clock }: Listing): Html {
  const words = texts.factors.page;
  const ago = (at: number) => texts.ago(Math.max(0, Math.floor((clock.now() - at) / 1000)));
  const facts = `${words.added} ${ago(createdAt)} · ${usedAt === undefined ? words.neverUsed : `${words.used} ${ago(usedAt)}`}`;
  const rename = html`${hidden("id", id)}<input name="name" aria-label="${words.nameOf(name)}" value="${name}" autocomplete="off" required>
<button class="quiet small">${words.rename}<span class="unseen"> ${name}</span></button>`;
  const remove = html`${hidden("id", id)}<button class="quiet small">${words.remove}<span class="unseen"> ${name}</span></button>`;
  return html`<li><div><h3>${name}</h3>
<p class="muted">${facts}</p>
${postForm({ action: view.url(`${HERE}/passkeys/rename`), token }, rename)}</div>
${postForm({ action: view.url(`${HERE}/passkeys/remove`), token }, remove)}</li>`;
}
