import { limits } from "../primitives/limits.ts";
import type { Session } from "../sessions/session.ts";
import { texts } from "./texts.ts";

export interface Device {
  /** What its owner called it at sign-in, else what `software` says, else that it is not known. */
  readonly name: string;
  /** Browser and system, as far as the User-Agent tells. */
  readonly software: string | undefined;
  readonly kind: "phone" | "computer" | "program";
}

type Describe = (userAgent: string) => Pick<Device, "software" | "kind">;

let loading: Promise<Describe> | undefined;

/** Names of devices. The tables of browsers are loaded by the first one who looks at a list. */
export async function deviceNames(): Promise<(session: Pick<Session, "device" | "userAgent">) => Device> {
  loading ??= load();
  const describe = await loading;
  return ({ device, userAgent }) => {
    const known = userAgent ? describe(userAgent) : { software: undefined, kind: "program" as const };
    return { name: device ?? known.software ?? texts.account.unknownDevice, ...known };
  };
}

async function load(): Promise<Describe> {
  const { default: bowser } = await import("bowser");
  return (userAgent) => {
    const { browser, os, platform } = bowser.parse(userAgent);
    const isPhone = platform.type === "mobile" || platform.type === "tablet";
    // What is no browser names itself first: okhttp/4.12.0
    const product = browser.name || /^([A-Za-z][\w .-]*)\//.exec(userAgent)?.[1];
    const software =
      product && os.name ? texts.account.on(cut(product), cut(os.name)) : cut(product ?? os.name ?? "");
    return { software: software || undefined, kind: isPhone ? "phone" : os.name ? "computer" : "program" };
  };
}

const cut = (text: string) => text.slice(0, limits.deviceNameCharactersMax);
