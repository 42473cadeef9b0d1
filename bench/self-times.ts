/** A CPU profile of V8, as `node --cpu-prof` writes it: what of it is read here. Times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly endTime: number;
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

type Shares = (readonly [where: string, share: number])[];

const MODULE = /^\/\/ (?:.*\/)?packages\/server\/src\/(.*)\.ts$/;

/**
 * The same, with each function in the module that it was written in: the program is bundled, and above the code of each
 * module the bundle names it.
 * @param read the lines of the file at a URL
 */
export function unbundled(profile: CpuProfile, read: (url: string) => readonly string[]): CpuProfile {
  const moduleAt = (url: string, line: number) => {
    const above = read(url).slice(0, line + 1);
    const [, module] = MODULE.exec(above.findLast((text) => MODULE.test(text)) ?? "") ?? [];
    return module;
  };
  const nodes = profile.nodes.map((node) => {
    const { url, lineNumber } = node.callFrame;
    const [, folder] = BUNDLE.exec(url) ?? [];
    const module = folder === undefined ? undefined : moduleAt(url, lineNumber);
    if (module === undefined) return node;
    return { ...node, callFrame: { ...node.callFrame, url: `${folder}${module}.js` } };
  });
  return { ...profile, nodes };
}

const BUNDLE = /^(.*\/packages\/server\/dist\/)cli\/program-\w+\.js$/;

/** Nothing of the program runs then: the thread waits. */
const waiting = new Set(["(idle)", "(root)", "sleepUntilAsked"]);

/**
 * Where the time of several threads went that each function spent in itself: by room (folder, package, part of Node)
 * and by function, the most first, as shares of all in which something ran.
 * @param window so many seconds before the end, and how long it is; before it there is the start of the program
 */
export function selfTimes(
  profiles: readonly CpuProfile[],
  window: { readonly before: number; readonly seconds: number },
): { byRoom: Shares; byFunction: Shares } {
  const rooms = new Map<string, number>();
  const functions = new Map<string, number>();
  let total = 0;
  for (const profile of profiles) {
    const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
    const until = profile.endTime - window.before * 1e6;
    const from = until - window.seconds * 1e6;
    let at = profile.startTime;
    for (const [index, id] of profile.samples.entries()) {
      at += profile.timeDeltas[index] ?? 0;
      const frame = frames.get(id);
      // A sample counts until the next one is taken.
      const time = profile.timeDeltas[index + 1] ?? 0;
      if (frame === undefined || at < from || at >= until || waiting.has(frame.functionName)) continue;
      const room = roomOf(frame);
      const name = `${frame.functionName || "(anonymous)"} ${fileOf(frame.url)}`.trim();
      rooms.set(room, (rooms.get(room) ?? 0) + time);
      functions.set(name, (functions.get(name) ?? 0) + time);
      total += time;
    }
  }
  const shares = (times: Map<string, number>): Shares =>
    [...times].map(([where, time]) => [where, time / total] as const).sort(([, a], [, b]) => b - a);
  return { byRoom: shares(rooms), byFunction: shares(functions) };
}

function roomOf({ functionName, url }: { functionName: string; url: string }): string {
  if (functionName === "(garbage collector)") return "garbage collector";
  // V8 puts down here what runs outside its functions: the event loop, system calls of libuv, the HTTP parser.
  if (functionName === "(program)") return "native, outside functions";
  if (url === "") return "native functions";
  if (url.startsWith("node:")) return url.startsWith("node:internal/") ? "Node, internal" : url;
  const [, module] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
  if (module !== undefined) return module;
  const [, room] = /\/packages\/server\/dist\/(.*\/)?[^/]*$/.exec(url) ?? [];
  return url.includes("/packages/server/dist/") ? `server/${room ?? ""}` : fileOf(url);
}

function fileOf(url: string): string {
  const [, inServer] = /\/packages\/server\/dist\/(.*)$/.exec(url) ?? [];
  const [, inModules] = /.*\/node_modules\/(.*)$/.exec(url) ?? [];
  return inServer ?? inModules ?? url.replace(/^file:.*\//, "");
}
