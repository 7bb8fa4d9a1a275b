// Runs a script of operations against the gate of the page: a line of JSON each on standard input, an answer a line.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { Gate } = await import(pathToFileURL(process.argv[2]).href);
const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64"));
let gate = null;
for await (const line of createInterface({ input: process.stdin })) {
  const step = JSON.parse(line);
  try {
    if (step.rules) {
      gate = new Gate({ ...step.rules, roots: step.rules.roots.map(bytes) });
      console.log(JSON.stringify("ready"));
    } else if (step.take) {
      await gate.take(bytes(step.take));
      console.log(JSON.stringify("taken"));
    } else {
      const { region, scene, word, colour, until, initials, born } = await gate.check(step.check, step.at);
      console.log(JSON.stringify({ region, scene, word, colour, until, initials, born }));
    }
  } catch (error) {
    console.log(JSON.stringify(error.reason ?? `${error}`));
  }
}
