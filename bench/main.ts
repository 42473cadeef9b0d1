import { benchRefresh } from "./refresh.ts";

console.log(
  JSON.stringify(
    await benchRefresh({ rounds: Number(process.argv[2] ?? 1), seconds: Number(process.argv[3] ?? 3) }),
    null,
    2,
  ),
);
