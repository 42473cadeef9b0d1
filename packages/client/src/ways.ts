import type { Door } from "./door.ts";
import type { OnDevice, Ways } from "./how.ts";

/** The rest of a mode: {@link Door} made into {@link Ways}, each part loaded when somebody takes it. */
export function createWays(door: Door): Ways {
  const { settings } = door.parts;
  const findPasskeys = async () => (await import("./passkeys.ts")).createPasskeyWays(door);
  const findProviders = async () => (await import("./providers.ts")).createProviderWays(door);

  return {
    async signIn(how) {
      const { device = settings.device } = how as OnDevice;
      const more = { ...(device !== undefined && { device }) };
      if ("passkey" in how) return (await findPasskeys()).signIn(how, more);
      if ("provider" in how) return (await findProviders()).leave(how);
      const { username } = how;
      const { session } = await ("recoveryCode" in how
        ? door.enter("/login/recovery", { username, code: how.recoveryCode, ...more })
        : door.enter("/login", { username, password: how.password, ...more }));
      return session;
    },
    finishSignIn: async (address) => (await findProviders()).finish(address),
    proveAgain: async (proof, fetch) => (await findPasskeys()).proveAgain(proof, fetch),
    providers: async () => (await findProviders()).list(),
    addSignIn: async (what, fetch) =>
      "provider" in what ? (await findProviders()).connect(what) : (await findPasskeys()).add(what, fetch),
  };
}
