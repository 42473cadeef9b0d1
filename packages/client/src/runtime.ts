import type { Subtle } from "./keys.ts";

export type Fetch = typeof globalThis.fetch;

/** What the client uses of a BroadcastChannel. */
export interface Channel {
  postMessage(message: unknown): void;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  close(): void;
}

/** What the client uses of a LockManager. */
export interface Locks {
  request<T>(name: string, options: { signal: AbortSignal }, work: () => Promise<T>): Promise<T>;
  query(): Promise<{ readonly held: readonly { readonly name: string; readonly clientId: string }[] }>;
}

/** The world around the client. Tests bring another one. */
export interface Runtime {
  /**
   * Milliseconds by a clock that nobody sets. The wall clock is not asked: it is wrong on many devices, and it jumps.
   */
  now(): number;
  /** What the wall clock said when `now` was 0: a first guess of the server's time, until it has told its own. */
  readonly originMs: number;
  /** Resolves when the time is over or one of the signals is aborted; never rejects. */
  sleep(milliseconds: number, ...signals: readonly AbortSignal[]): Promise<void>;
  /** From 0 to 1. */
  random(): number;
  readonly subtle: Subtle | undefined;
  readonly locks: Locks | undefined;
  openChannel(name: string): Channel | undefined;
  readonly pageOrigin: string | undefined;
  /** What relative addresses are relative to. */
  readonly pageUrl: string | undefined;
  /** Calls the listener when the network is back, or the page is in sight again, until it is stopped. */
  onWake(event: "online" | "visibilitychange", listener: () => void, stopped: AbortSignal): void;
}

function sleep(milliseconds: number, ...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    for (const signal of signals) {
      signal.addEventListener("abort", end);
      if (signal.aborted) end();
    }
  });
}

interface Page {
  readonly location?: { readonly origin: string; readonly href: string };
  readonly navigator?: { readonly locks?: unknown };
  readonly document?: Partial<EventTarget> & { readonly baseURI?: string };
  readonly addEventListener?: EventTarget["addEventListener"];
}

/** This page, worker or process. */
export function findRuntime(): Runtime {
  const page = globalThis as unknown as Page;
  return {
    now: () => performance.now(),
    originMs: performance.timeOrigin,
    sleep,
    random: Math.random,
    // Undefined on pages that came over plain http.
    subtle: globalThis.crypto?.subtle as Subtle | undefined,
    locks: page.navigator?.locks as Locks | undefined,
    openChannel(name) {
      if (!("BroadcastChannel" in page)) return undefined;
      const channel = new BroadcastChannel(name);
      // In Node an open channel would keep the process alive.
      (channel as { unref?: () => void }).unref?.();
      return channel as unknown as Channel;
    },
    pageOrigin: page.location?.origin,
    pageUrl: page.document?.baseURI ?? page.location?.href,
    onWake(event, listener, signal) {
      const target = event === "online" ? page : page.document;
      target?.addEventListener?.(event, listener, { signal });
    },
  };
}
