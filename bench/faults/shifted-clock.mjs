/*
 * Loaded into a node before anything else: shifts the time of the whole process, threads included, by the
 * milliseconds that the file FAULTS_CLOCK holds. The steady clock goes on as it is, as with a real jump.
 */
import { readFileSync } from "node:fs";

const RealDate = Date;
const realNow = Date.now.bind(Date);
const file = process.env.FAULTS_CLOCK;
let shift = 0;
let lookAgainAt = 0;

function now() {
  const real = realNow();
  if (real >= lookAgainAt) {
    lookAgainAt = real + 20;
    try {
      shift = Number(readFileSync(file, "utf8")) || 0;
    } catch {
      shift = 0;
    }
  }
  return real + shift;
}

class ShiftedDate extends RealDate {
  constructor(...values) {
    if (values.length === 0) super(now());
    else super(...values);
  }
  static now() {
    return now();
  }
}
Object.defineProperty(ShiftedDate, "name", { value: "Date" });
globalThis.Date = ShiftedDate;
