/**
 * Passwords that no list of leaks has in full, because there is one for each length and each year, and that whoever
 * guesses tries all the same. NIST SP 800-63B-4 §3.1.1.2: "commonly used, expected, or compromised". Whole passwords,
 * not a rule: what begins like one of them and goes on otherwise is none of them.
 */

const rows = [
  "1234567890",
  "0123456789",
  "0987654321",
  "9876543210",
  "abcdefghijklmnopqrstuvwxyz",
  "qwertyuiop",
  "qwertyuiopasdfghjklzxcvbnm",
  "qwertzuiop",
  "azertyuiop",
  "asdfghjkl",
  "zxcvbnm",
  "1q2w3e4r5t6y7u8i9o0p",
  "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
  "qazwsxedcrfvtgbyhnujmikolp",
];

/** What people begin with when a site asks for another kind of characters. */
const words = [
  ..."admin administrator changeme hello letmein login p@ssw0rd p@ssword pa$$w0rd pa$$word passw0rd".split(
    " ",
  ),
  ..."passwort password qwerty root secret test user welcome welcome1".split(" "),
];
const endings =
  "1 2 12 123 1234 12345 123456 01 11 69 007 ! !! 1! 12! 123! 1234! @1 @12 @123 #1 !1 !123".split(" ");
/** How many of the most common passwords are taken as words too. */
const TOP = 1000;

const seasons = [
  ..."spring summer autumn fall winter january february march april may june july august september".split(
    " ",
  ),
  ..."october november december monday friday password welcome".split(" "),
];
const years = Array.from({ length: 41 }, (_, index) => String(2000 + index));

/** @param common passwords, the most frequent first */
export function* expectedPasswords(
  common: readonly string[],
  length: { readonly min: number; readonly max: number },
): Generator<string> {
  for (let code = 0x20; code < 0x7f; code++) yield* runs(String.fromCharCode(code), length);
  for (const row of rows) yield* runs(row, length);
  for (const word of [...words, ...common.slice(0, TOP)]) {
    for (const ending of endings) yield word + ending;
    for (const times of [2, 3, 4]) yield word.repeat(times);
  }
  for (const season of seasons) {
    for (const year of years) {
      for (const ending of ["", "!", "1", "#", "@", "."]) yield season + year + ending;
    }
  }
}

/** A row over and over, cut at every length. */
function* runs(row: string, { min, max }: { readonly min: number; readonly max: number }): Generator<string> {
  const long = row.repeat(Math.ceil(max / row.length));
  for (let characters = min; characters <= max; characters++) yield long.slice(0, characters);
}
