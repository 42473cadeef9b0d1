import { z } from "zod";
import { Refusal } from "../errors.ts";
import { invalidToken } from "../http/authenticate.ts";
import type { Answer, Endpoint, UserRequest } from "../http/endpoint.ts";
import { unreachable } from "../primitives/assert.ts";
import { isId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Factors } from "../users/factors/factors.ts";
import type { FactorAdded, Own } from "../users/factors/managing.ts";
import type { Users } from "../users/users.ts";
import { shownText } from "./login.ts";
import { passkeyCreated } from "./passkeys.ts";
import { proven } from "./proven.ts";
import { addedReply, factorsReply, optionsReply, pendingTotpReply } from "./schemas-factors.ts";

const code = z.object({ code: z.string().min(1).max(64) });
const passkeyName = shownText(limits.passkeyNameCharactersMax);
const passkey = z.object({ passkey: passkeyCreated, name: passkeyName.optional() });
const renaming = z.object({ name: passkeyName.min(1) });

interface Dependencies {
  readonly factors: Pick<Factors, "managing" | "ownedBy" | "stepUp">;
  readonly users: Pick<Users, "findById">;
}

/** A user's own second factors: what the pages under /account/factors do, as JSON. */
export function factorEndpoints({ factors, users }: Dependencies): Endpoint[] {
  const { managing, ownedBy } = factors;
  const by = ({ ip }: UserRequest) => ({ actor: "user", ip }) as const;

  /** @throws Refusal step_up_required */
  async function own(request: UserRequest): Promise<Own> {
    const { session, ip } = request;
    await proven(session, factors);
    const user = await users.findById(session.userId);
    if (user === undefined) throw invalidToken();
    return { user, session, ip };
  }

  async function list({ session }: UserRequest): Promise<Answer> {
    const { passkeys, totp, recoveryCodes } = await ownedBy(session.userId);
    const shown = passkeys.map(({ id, name, isSyncable, createdAt, usedAt }) => ({
      id,
      name,
      syncable: isSyncable,
      createdAt: new Date(createdAt).toISOString(),
      lastUsedAt: usedAt === undefined ? undefined : new Date(usedAt).toISOString(),
    }));
    return { status: 200, json: { passkeys: shown, totp, recoveryCodes } };
  }

  async function beginTotp(request: UserRequest): Promise<Answer> {
    const pending = await managing.beginTotp(await own(request));
    if (pending === undefined) throw new Refusal("factor_exists");
    return { status: 200, json: pending };
  }

  function added(result: FactorAdded): Answer {
    if (result.outcome === "refused") throw new Refusal("factor_refused");
    return { status: 201, json: { recoveryCodes: result.recoveryCodes } };
  }

  async function confirmTotp(request: UserRequest<z.infer<typeof code>>): Promise<Answer> {
    const result = await managing.addTotp(await own(request), request.body.code);
    if (result.outcome !== "too_many_attempts") return added(result);
    const headers = { "Retry-After": String(result.retryAfterSeconds) };
    throw new Refusal("too_many_attempts", { headers });
  }

  async function removeTotp(request: UserRequest): Promise<Answer> {
    const { user } = await own(request);
    if (!(await managing.removeTotp(user.id, by(request)))) throw new Refusal("unknown_factor");
    return { status: 204 };
  }

  async function passkeyOptions(request: UserRequest): Promise<Answer> {
    return { status: 200, json: { options: await managing.passkeyOptions(await own(request)) } };
  }

  async function addPasskey(request: UserRequest<z.infer<typeof passkey>>): Promise<Answer> {
    const { passkey: response, name = "" } = request.body;
    return added(await managing.addPasskey(await own(request), { response, name }));
  }

  async function renamePasskey(request: UserRequest<z.infer<typeof renaming>>): Promise<Answer> {
    const { user } = await own(request);
    const { id = "" } = request.path;
    const { name } = request.body;
    const isDone = isId(id) && (await managing.renamePasskey(user.id, { id, name }, by(request)));
    if (!isDone) throw new Refusal("unknown_factor");
    return { status: 204 };
  }

  async function removePasskey(request: UserRequest): Promise<Answer> {
    const { user } = await own(request);
    const { id = "" } = request.path;
    const removed = isId(id) ? await managing.removePasskey(user.id, id, by(request)) : "gone";
    switch (removed) {
      case "removed":
        return { status: 204 };
      case "last_way_in":
        throw new Refusal("last_way_in");
      case "gone":
        throw new Refusal("unknown_factor");
      default:
        return unreachable(removed);
    }
  }

  async function newCodes(request: UserRequest): Promise<Answer> {
    const recoveryCodes = await managing.remakeRecoveryCodes(await own(request));
    if (recoveryCodes === undefined) throw new Refusal("unknown_factor");
    return { status: 200, json: { recoveryCodes } };
  }

  const post = { method: "POST", access: "user" } as const;
  const remove = { method: "DELETE", access: "user" } as const;
  const gone = { status: 204, about: "Gone; with the last factor the recovery codes too" } as const;
  const addedAbout = { status: 201, about: "Added", schema: addedReply } as const;
  return [
    {
      method: "GET",
      path: "/factors",
      summary:
        "The user's passkeys, whether an authenticator app is on, and how many recovery codes are left",
      access: "user",
      success: { status: 200, about: "What there is", schema: factorsReply },
      refusals: [],
      handle: list,
    },
    {
      ...post,
      path: "/factors/totp",
      summary: "A secret for an authenticator app; its first code goes to /factors/totp/confirm",
      success: { status: 200, about: "The same one until it is confirmed", schema: pendingTotpReply },
      refusals: ["step_up_required", "factor_exists"],
      handle: beginTotp,
    },
    {
      ...post,
      path: "/factors/totp/confirm",
      summary: "Switches the authenticator app on, by the first code that it shows",
      body: code,
      success: addedAbout,
      refusals: ["step_up_required", "factor_refused", "too_many_attempts"],
      handle: confirmTotp,
    },
    {
      ...remove,
      path: "/factors/totp",
      summary: "Switches the authenticator app off",
      success: gone,
      refusals: ["step_up_required", "unknown_factor"],
      handle: removeTotp,
    },
    {
      ...post,
      path: "/factors/challenge",
      summary: "What to ask navigator.credentials.create for",
      success: { status: 200, about: `Good for ${limits.challengeMinutesMax} minutes`, schema: optionsReply },
      refusals: ["step_up_required"],
      handle: passkeyOptions,
    },
    {
      ...post,
      path: "/factors/passkeys",
      summary: "Adds the passkey that the browser has made",
      body: passkey,
      success: addedAbout,
      refusals: ["step_up_required", "factor_refused"],
      handle: addPasskey,
    },
    {
      ...post,
      path: "/factors/passkeys/:id",
      summary: "Gives a passkey another name",
      body: renaming,
      success: { status: 204, about: "Renamed" },
      refusals: ["step_up_required", "unknown_factor"],
      handle: renamePasskey,
    },
    {
      ...remove,
      path: "/factors/passkeys/:id",
      summary: "Removes a passkey, unless it is the last way to sign in",
      success: gone,
      refusals: ["step_up_required", "unknown_factor", "last_way_in"],
      handle: removePasskey,
    },
    {
      ...post,
      path: "/factors/recovery-codes",
      summary: "Ten new recovery codes in place of those before, for who has a factor",
      success: { status: 200, about: "Shown this once", schema: addedReply.required() },
      refusals: ["step_up_required", "unknown_factor"],
      handle: newCodes,
    },
  ];
}
