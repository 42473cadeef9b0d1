import { z } from "zod";
import { Refusal } from "../errors.ts";
import type { Answer, Endpoint, UserRequest } from "../http/endpoint.ts";
import { unreachable } from "../primitives/assert.ts";
import { limits } from "../primitives/limits.ts";
import type { Factors } from "../users/factors/factors.ts";
import type { Identities } from "../users/identities.ts";
import type { Users } from "../users/users.ts";
import { proven } from "./proven.ts";
import { identitiesReply, providersReply } from "./schemas-factors.ts";

const firstPassword = z.object({ password: z.string().min(1).max(limits.passwordBytesMax) });

interface Dependencies {
  readonly factors: Pick<Factors, "ownedBy" | "stepUp">;
  readonly identities: Pick<Identities, "list" | "unlink">;
  readonly users: Pick<Users, "hasPassword" | "setFirstPassword">;
  readonly providers: { offered(): readonly { readonly id: string; readonly label: string }[] };
}

/** GET /providers, and a user's own accounts at them: what "Connected accounts" of the account page does, as JSON. */
export function identityEndpoints({ factors, identities, users, providers }: Dependencies): Endpoint[] {
  async function list({ session }: UserRequest): Promise<Answer> {
    const [own, hasPassword] = await Promise.all([
      identities.list(session.userId),
      users.hasPassword(session.userId),
    ]);
    const shown = own.map(({ id, providerId, label, createdAt }) => ({
      id,
      provider: providerId,
      label,
      createdAt: new Date(createdAt).toISOString(),
    }));
    return { status: 200, json: { identities: shown, hasPassword } };
  }

  async function unlink({ session, path, ip }: UserRequest): Promise<Answer> {
    await proven(session, factors);
    const unlinked = await identities.unlink(session.userId, path.id ?? "", { actor: "user", ip });
    switch (unlinked) {
      case "unlinked":
        return { status: 204 };
      case "last_way_in":
      case "unknown_identity":
        throw new Refusal(unlinked);
      default:
        return unreachable(unlinked);
    }
  }

  async function setFirst(request: UserRequest<z.infer<typeof firstPassword>>): Promise<Answer> {
    const { session, ip, body } = request;
    await proven(session, factors);
    const set = await users.setFirstPassword(session.userId, body.password, { actor: "user", ip });
    switch (set.outcome) {
      case "set":
        return { status: 204 };
      case "has_one":
        throw new Refusal("password_exists");
      case "invalid":
        throw new Refusal("weak_password", { description: set.problem });
      case "busy":
        throw new Refusal("busy", { headers: { "Retry-After": "2" } });
      default:
        return unreachable(set);
    }
  }

  return [
    {
      method: "GET",
      path: "/providers",
      summary: "Whom people can sign in with besides a password, as on the sign-in page",
      access: "public",
      success: { status: 200, about: "In the order of the sign-in page", schema: providersReply },
      refusals: [],
      handle: () => ({
        status: 200,
        json: { providers: providers.offered().map(({ id, label }) => ({ id, label })) },
      }),
    },
    {
      method: "GET",
      path: "/identities",
      summary: "The user's accounts at providers, and whether they have a password",
      access: "user",
      success: { status: 200, about: "The oldest first", schema: identitiesReply },
      refusals: [],
      handle: list,
    },
    {
      method: "DELETE",
      path: "/identities/:id",
      summary: "Disconnects an account at a provider, unless it is the last way to sign in",
      access: "user",
      success: { status: 204, about: "Disconnected" },
      refusals: ["step_up_required", "unknown_identity", "last_way_in"],
      handle: unlink,
    },
    {
      method: "POST",
      path: "/password/first",
      summary: "Sets a password for who has none",
      access: "user",
      body: firstPassword,
      success: { status: 204, about: "Set" },
      refusals: ["step_up_required", "password_exists", "weak_password", "busy"],
      handle: setFirst,
    },
  ];
}
