/* Argon2id with the server's default cost and nothing around it; prints hashes a second. */
import { hashSync } from "@node-rs/argon2";

const options = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
const until = performance.now() + Number(process.argv[2]) * 1000;
hashSync("correct horse battery", options);
const begun = performance.now();
let count = 0;
while (performance.now() < until) {
  hashSync("correct horse battery", options);
  count++;
}
process.stdout.write(String((count * 1000) / (performance.now() - begun)));
