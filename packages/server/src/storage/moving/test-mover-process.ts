import { openDatabase } from "../open.ts";
import { move } from "./move.ts";

/** A mover that stands still at the moment named by its third argument, to be killed there. */
const [from = "", to = "", at = ""] = process.argv.slice(2);
const [source, target] = [await openDatabase({ url: from }), await openDatabase({ url: to })];
let pages = 0;
await move(source, target, {
  targetName: "elsewhere",
  pauseSecondsMax: 60,
  rehearsal: false,
  isInterrupted: () => false,
  onProgress({ step }) {
    pages += 1;
    if (step !== at && `${step} ${pages}` !== at) return;
    process.stdout.write("here\n");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
});
