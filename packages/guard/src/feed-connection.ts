import type * as NodeHttp from "node:http";
import type { Fetch } from "./bounded-fetch.ts";

export type StreamHandlers = {
  /** The answer's head came. The stream goes on only if this returns true. */
  readonly opened: (status: number, contentType: string) => boolean;
  readonly bytes: (chunk: Uint8Array) => void;
  /** Called once, however it ended, unless it was closed by us. */
  readonly ended: (message: string) => void;
};

export type StreamRequest = { readonly url: string; readonly headers: Readonly<Record<string, string>> };

/** Opens a stream of bytes that may last for days; returns what closes it. */
export type OpenStream = (request: StreamRequest, handlers: StreamHandlers) => () => void;

const describe = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause));

/** By node:http, because its socket can be unref'd: following a feed must not keep a process alive. */
function nodeStream(http: typeof NodeHttp): OpenStream {
  return ({ url, headers }, { opened, bytes, ended }) => {
    let isOver = false;
    const over = (message: string) => {
      if (isOver) return;
      isOver = true;
      request.destroy();
      ended(message);
    };
    // No agent: the connection is ours alone, and no pool keeps it. Redirects are not followed.
    const request = http.request(url, { headers, agent: false }, (response) => {
      if (!opened(response.statusCode ?? 0, response.headers["content-type"] ?? "")) {
        isOver = true;
        request.destroy();
        return;
      }
      response.on("data", (chunk: Uint8Array) => {
        if (!isOver) bytes(chunk);
      });
      response.on("close", () => over("the connection ended"));
      response.on("error", (error) => over(describe(error)));
    });
    request.on("socket", (socket) => socket.unref());
    request.on("error", (error) => over(describe(error)));
    request.on("close", () => over("the connection ended"));
    request.end();
    return () => {
      isOver = true;
      request.destroy();
    };
  };
}

/** By fetch, on every other runtime, or when the owner brings a fetch. */
function fetchStream(fetch: Fetch): OpenStream {
  return ({ url, headers }, { opened, bytes, ended }) => {
    const controller = new AbortController();
    const { signal } = controller;
    async function follow(): Promise<void> {
      const response = await fetch(url, { headers, redirect: "manual", signal });
      if (signal.aborted) return;
      if (!opened(response.status, response.headers.get("content-type") ?? "")) return controller.abort();
      const reader = response.body?.getReader();
      for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
        if (signal.aborted) return;
        bytes(part.value);
      }
      throw new Error("the connection ended");
    }
    follow().catch((cause: unknown) => {
      if (signal.aborted) return;
      controller.abort();
      ended(describe(cause));
    });
    return () => controller.abort();
  };
}

function isNode(): boolean {
  const versions = globalThis.process?.versions;
  return versions?.node !== undefined && versions.bun === undefined && !("Deno" in globalThis);
}

/** The way to follow a feed on this runtime; a `fetch` of the owner's is always used. */
export function findOpenStream(ownFetch: Fetch | undefined): OpenStream {
  const http = isNode() ? globalThis.process.getBuiltinModule?.("node:http") : undefined;
  const https = isNode() ? globalThis.process.getBuiltinModule?.("node:https") : undefined;
  if (ownFetch !== undefined || http === undefined || https === undefined) {
    return fetchStream(ownFetch ?? globalThis.fetch);
  }
  const plain = nodeStream(http);
  const secure = nodeStream(https as unknown as typeof NodeHttp);
  return (request, handlers) => (request.url.startsWith("https:") ? secure : plain)(request, handlers);
}
