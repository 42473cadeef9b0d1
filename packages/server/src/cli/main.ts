#!/usr/bin/env node
import { compileInCache } from "./compile-cache.ts";

// Before anything large is loaded: what was compiled once is read from a file at the next start.
compileInCache();
const { runProgram } = await import("./program.ts");
process.exitCode = await runProgram(process.argv.slice(2), process);
