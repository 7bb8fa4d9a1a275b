// Reads certificates with @pathcheck/dcc-sdk, which shares no code with this tree: text by text, one line of JSON each.
// node reader.cjs FOLDER-WITH-NODE_MODULES SIGNER.pem TEXT...
const { createHash } = require("node:crypto");
const { readFileSync, writeFileSync } = require("node:fs");
const { createRequire } = require("node:module");

const [folder, signer, ...texts] = process.argv.slice(2);
// Its WebCrypto is a substitute for platforms without one, in a syntax that its own loader cannot read: Node's instead.
const subtle = "const { subtle } = require('crypto').webcrypto;\nmodule.exports = { subtle };\n";
for (const name of ["index", "main"]) writeFileSync(`${folder}/node_modules/isomorphic-webcrypto/src/${name}.js`, subtle);
const esm = createRequire(`${folder}/`)("esm")(module);
const sdk = esm(`${folder}/node_modules/@pathcheck/dcc-sdk/lib/main.js`);
const body = readFileSync(signer, "utf8").replace(/-----[A-Z ]+-----|\s/g, "");
const keyId = createHash("sha256").update(Buffer.from(body, "base64")).digest().subarray(0, 8).toString("base64");
sdk.addCachedCerts({ [keyId]: body });
console.log = console.error;

(async () => {
  for (const text of texts) {
    const { status, contents } = await sdk.unpackAndVerify(text);
    const claims = contents instanceof Map ? contents : new Map(Object.entries(contents ?? {}));
    const certificate = claims.get(-260) ?? claims.get("-260");
    const read = certificate instanceof Map ? certificate.get(1) : certificate?.["1"];
    process.stdout.write(`${JSON.stringify({ status, issuer: claims.get(1) ?? claims.get("1"), read: read ?? null })}\n`);
  }
})();
