/** The MCP server: two tools, and what a client must be allowed to use each. It knows nothing of HTTP or of tokens. */
import { McpServer, type McpServerFactory, requireScopes } from "@modelcontextprotocol/server";
import { z } from "zod";

const peopleMax = 1000;
const notesMax = 100;

/** Makes the server of each request. What somebody has noted is theirs alone, whichever client they use. */
export function createNotes(): McpServerFactory {
  const notesOf = new Map<string, string[]>();

  return ({ authInfo }) => {
    const subject = String(authInfo?.extra?.subject);
    const server = new McpServer({ name: "notes", version: "1.0.0" });

    server.registerTool(
      "list_notes",
      { description: "The notes of the person who is signed in", annotations: { readOnlyHint: true } },
      () => ({ content: [{ type: "text", text: JSON.stringify(notesOf.get(subject) ?? []) }] }),
    );

    server.registerTool(
      "add_note",
      {
        description: "Adds a note for the person who is signed in",
        inputSchema: z.object({ text: z.string().min(1).max(500) }),
        // A client that has only notes:read gets 403 insufficient_scope, and asks the person for more. All that the call
        // needs is named, what every request needs included: some clients ask for that and for nothing they had.
        scopeChallenge: requireScopes("notes:read", "notes:write"),
      },
      ({ text }) => {
        if (!notesOf.has(subject) && notesOf.size === peopleMax) notesOf.clear();
        notesOf.set(subject, [...(notesOf.get(subject) ?? []), text].slice(-notesMax));
        return { content: [{ type: "text", text: "Noted." }] };
      },
    );

    return server;
  };
}
