import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";
import { UnauthorizedError as UnauthorizedErrorV1 } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

/** The clients of the official SDK, both of its lines: what most programs have installed, and what is current. */

export const redirectUri = "http://127.0.0.1:7777/callback";

export interface Keeping {
  /** Its id is this address. */
  readonly document?: string;
  /** It has this id already, at this issuer. */
  readonly known?: { readonly client_id: string; readonly issuer: string };
  readonly grants?: readonly string[];
}

export type Keeper = ReturnType<typeof createKeeper>;

interface Kept {
  readonly access_token: string;
  readonly token_type: string;
  readonly refresh_token?: string | undefined;
  readonly scope?: string | undefined;
}

/** What an application keeps for the SDK, in memory: one person at one MCP server. */
export function createKeeper({ document, known, grants = ["authorization_code"] }: Keeping = {}) {
  // biome-ignore lint/suspicious/noExplicitAny: the two lines of the SDK have types of their own for the same things
  let information: any = known;
  // biome-ignore lint/suspicious/noExplicitAny: the same
  let discovered: any;
  let tokens: Kept | undefined;
  let verifier = "";
  const visits: URL[] = [];
  return {
    /** The addresses that the person was sent to. */
    visits,
    tokens: () => tokens,
    clientId: (): string => information?.client_id,
    provider: {
      redirectUrl: redirectUri,
      ...(document !== undefined && { clientMetadataUrl: document }),
      clientMetadata: {
        client_name: "A test",
        redirect_uris: [redirectUri],
        grant_types: [...grants],
        response_types: ["code"],
        token_endpoint_auth_method: "none",
        application_type: "native",
      },
      state: () => "a-state",
      clientInformation: () => information,
      saveClientInformation(given: unknown) {
        information = given;
      },
      tokens: () => tokens as never,
      saveTokens(given: Kept) {
        tokens = given;
      },
      redirectToAuthorization(visit: URL) {
        visits.push(visit);
      },
      saveCodeVerifier(given: string) {
        verifier = given;
      },
      codeVerifier: () => verifier,
      saveDiscoveryState(given: unknown) {
        discovered = given;
      },
      discoveryState: () => discovered,
    },
  };
}

export interface Connection {
  /** The text that the tool answers with. */
  call(tool: string, input?: Record<string, unknown>): Promise<string>;
  tools(): Promise<string[]>;
  /** Goes on with what the person brought back. */
  finish(answer: URLSearchParams): Promise<void>;
  /** Connects, when the person had to be sent away first. */
  connect(): Promise<void>;
  close(): Promise<void>;
}

export interface Sdk {
  readonly name: string;
  open(url: string, keeper: Keeper): Connection;
  /** Whether the error says that the person was sent away. */
  isAway(error: unknown): boolean;
}

const info = { name: "test", version: "1.0.0" };
const textOf = (result: object) => (result as { content: { text: string }[] }).content[0]?.text ?? "";

const v1: Sdk = {
  name: "@modelcontextprotocol/sdk",
  isAway: (error) => error instanceof UnauthorizedErrorV1,
  open(url, keeper) {
    const make = () => new TransportV1(new URL(url), { authProvider: keeper.provider });
    let transport = make();
    let client = new ClientV1(info);
    return {
      async connect() {
        // A transport starts once.
        await client.close();
        transport = make();
        client = new ClientV1(info);
        // Its own types do not know exactOptionalPropertyTypes.
        await client.connect(transport as never);
      },
      call: async (name, input = {}) => textOf(await client.callTool({ name, arguments: input })),
      tools: async () => (await client.listTools()).tools.map(({ name }) => name),
      // This line does not look at `iss`.
      finish: (answer) => transport.finishAuth(answer.get("code") ?? ""),
      close: () => client.close(),
    };
  },
};

const v2: Sdk = {
  name: "@modelcontextprotocol/client",
  isAway: (error) => error instanceof UnauthorizedError,
  open(url, keeper) {
    const make = () => new StreamableHTTPClientTransport(new URL(url), { authProvider: keeper.provider });
    let transport = make();
    let client = new Client(info);
    return {
      async connect() {
        await client.close();
        transport = make();
        client = new Client(info);
        await client.connect(transport);
      },
      call: async (name, input = {}) => textOf(await client.callTool({ name, arguments: input })),
      tools: async () => (await client.listTools()).tools.map(({ name }) => name),
      finish: (answer) => transport.finishAuth(answer),
      close: () => client.close(),
    };
  },
};

export const sdks: readonly Sdk[] = [v1, v2];
