import { limits } from "../primitives/limits.ts";

/** What a User-Agent tells of a device. */
export interface Software {
  /** A browser's name, or what a program calls itself first: okhttp/4.12.0 */
  readonly browser: string | undefined;
  readonly system: string | undefined;
  readonly kind: "phone" | "computer" | "program";
}

export type SoftwareOf = (userAgent: string) => Software;

let loading: Promise<SoftwareOf> | undefined;

/** Names of browsers and systems. Their tables are loaded by the first one who asks. */
export function softwareNames(): Promise<SoftwareOf> {
  loading ??= load();
  return loading;
}

async function load(): Promise<SoftwareOf> {
  const { default: bowser } = await import("bowser");
  return (userAgent) => {
    const { browser, os, platform } = bowser.parse(userAgent);
    const isPhone = platform.type === "mobile" || platform.type === "tablet";
    const product = browser.name || /^([A-Za-z][\w .-]*)\//.exec(userAgent)?.[1];
    return {
      browser: cut(product),
      system: cut(os.name),
      kind: isPhone ? "phone" : os.name ? "computer" : "program",
    };
  };
}

const cut = (text: string | undefined) => text?.slice(0, limits.deviceNameCharactersMax) || undefined;
