import type { Session } from "../sessions/session.ts";
import { type Software, softwareNames } from "../sessions/software.ts";
import { texts } from "./texts.ts";

export interface Device {
  /** What its owner called it at sign-in, else what `software` says, else that it is not known. */
  readonly name: string;
  /** Browser and system, as far as the User-Agent tells. */
  readonly software: string | undefined;
  readonly kind: "phone" | "computer" | "program";
}

/** Names of devices. The tables of browsers are loaded by the first one who looks at a list. */
export async function deviceNames(): Promise<(session: Pick<Session, "device" | "userAgent">) => Device> {
  const softwareOf = await softwareNames();
  return ({ device, userAgent }) => {
    const known = userAgent
      ? described(softwareOf(userAgent))
      : { software: undefined, kind: "program" as const };
    return { name: device ?? known.software ?? texts.account.unknownDevice, ...known };
  };
}

function described({ browser, system, kind }: Software): Pick<Device, "software" | "kind"> {
  const software = browser && system ? texts.account.on(browser, system) : (browser ?? system);
  return { software, kind };
}
