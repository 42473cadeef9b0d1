import type { Reply, TestServer } from "./test-server.ts";

export const sameOrigin = { "sec-fetch-site": "same-origin" };

/** A browser: keeps the cookie that it was given. */
export function browserAt(at: TestServer) {
  const jar = new Map<string, string>();

  async function call(path: string, options: Parameters<TestServer["call"]>[1] = {}): Promise<Reply> {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { ...sameOrigin, ...(cookie !== "" && { cookie }), ...options.headers };
    const reply = await at.call(path, { ...options, headers });
    for (const line of reply.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/Max-Age=0/.test(line)) jar.delete(name);
      else jar.set(name, value);
      if (value !== "") at.secrets.add(value);
    }
    return reply;
  }

  return {
    jar,
    call,
    session: () => call("/session"),
    signIn: (username: string, more = {}) =>
      call("/login", { json: { username, password: "correct horse battery", mode: "cookie", ...more } }),
  };
}
