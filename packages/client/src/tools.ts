import { isTransient, KeyturnError, unreachable } from "./keyturn-error.ts";
import { isOver, isRefusal } from "./presence.ts";
import { readAccess, readTokens } from "./replies.ts";
import { joinTabs } from "./tabs.ts";

/**
 * What the parts that are loaded on demand use of the others. It is handed to them: what they import too, a bundler
 * takes out of the entry into a file of its own, and every page would fetch two. By place and not by name: names of
 * members are the one thing that no minifier makes shorter.
 */
export const tools = [
  isOver,
  isRefusal,
  isTransient,
  joinTabs,
  readAccess,
  readTokens,
  unreachable,
  KeyturnError,
] as const;

export type Tools = typeof tools;
