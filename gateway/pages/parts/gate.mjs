// Checks passes (通行码) with no network, in a browser or in Node 18 and later. No dependencies: Web Crypto verifies, the
// platform's DecompressionStream unpacks, and what is left is to read base45 (RFC 9285) and the few kinds of CBOR (RFC 8949)
// that passes and bundles are made of. It fails closed and says which: see docs/reasons.md, "Reasons of a test certificate".

const MAX_TEXT = 4296;
const MAX_SIGNED = 16384;
const MAX_BUNDLE = 1000000;
const CLOCK_TOLERANCE = 120;
const SCANNED_TWICE = 5;
const REMEMBERED = 100000;
const PASS = -65700;
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
const ALGORITHMS = new Map([
  ["ES256", { number: -7, key: { name: "ECDSA", namedCurve: "P-256" }, check: { name: "ECDSA", hash: "SHA-256" } }],
  ["PS256", { number: -37, key: { name: "RSA-PSS", hash: "SHA-256" }, check: { name: "RSA-PSS", saltLength: 32 } }],
  ["EdDSA", { number: -8, key: { name: "Ed25519" }, check: { name: "Ed25519" } }],
]);

export class Refused extends Error {
  constructor(reason, detail = "") {
    super(detail ? `${reason}: ${detail}` : reason);
    this.reason = reason;
    this.detail = detail;
  }
}

export class Gate {
  // roots: SubjectPublicKeyInfo (DER) of the keys whose bundles are taken, until one of them names others. keysMayBe: seconds.
  constructor({ region, scene, roots, keysMayBe = 3 * 86400 }) {
    this.region = region;
    this.scene = scene;
    this.keysMayBe = keysMayBe;
    this.roots = roots;
    this.bundle = null;
    this.seen = new Map();
  }

  // Takes a bundle (bytes). Refuses one that no root signed, that is not later, or that follows another than the gate has.
  async take(bytes) {
    const signed = await inflated(bytes, MAX_BUNDLE);
    const roots = await Promise.all(this.roots.map((key) => named({ encoded: key })));
    const { payload } = await verified(signed, roots);
    const body = decoded(payload);
    const [made, number, after, keys, records, laboratories, next] = [1, 2, 3, 4, 5, 6, 7].map((key) => body.get(key));
    const later = {
      made, number, after,
      keys: await Promise.all(
        keys.map(([region, encoded, begins, ends]) => named({ region: region.toString().padStart(6, "0"), encoded, begins, ends })),
      ),
      records: new Set(chunks(records, 8).map(hex)),
      laboratories: laboratories.map(([digest, from, before]) => [hex(digest), from, before]),
    };
    const now = this.bundle;
    if (now === null ? after !== 0 : number <= now.number || (after !== 0 && after !== now.number)) {
      throw new Refused("BUNDLE_OUT_OF_ORDER", `${number} after ${after}`);
    }
    if (now !== null && after !== 0) {
      later.after = now.after;
      now.records.forEach((record) => later.records.add(record));
      later.laboratories = [...now.laboratories, ...later.laboratories];
    }
    this.bundle = later;
    if (next !== undefined && next.length > 0) this.roots = next;
  }

  // Returns the pass of a text, at a clock in seconds since 1970; throws Refused. What it shows, the guard still looks at.
  async check(text, now = Date.now() / 1000) {
    const bundle = this.usable(now);
    const { payload, key } = await verified(await unwrapped(text), bundle.keys);
    const pass = contents(payload);
    if (pass.issuedAt > now + CLOCK_TOLERANCE) throw new Refused("NOT_YET_VALID");
    if (pass.expiresAt < now) throw new Refused("EXPIRED");
    if (now < key.begins || now > key.ends) throw new Refused("SIGNER_NOT_IN_FORCE");
    if (pass.region !== key.region) throw new Refused("ISSUER_WRONG");
    if (pass.region !== this.region) throw new Refused("OTHER_REGION", pass.region);
    if (pass.scene !== this.scene) throw new Refused(pass.scene === 0 ? "SCENE_MISSING" : "OTHER_SCENE");
    if (pass.restsOn.some((ground) => voided(bundle, ground))) throw new Refused("REVOKED");
    this.remember(pass.nonce, now);
    return pass;
  }

  usable(now) {
    const bundle = this.bundle;
    if (bundle === null || bundle.keys.length === 0) throw new Refused("KEYS_MISSING");
    if (now < bundle.made - CLOCK_TOLERANCE) throw new Refused("CLOCK_OFF");
    if (now > bundle.made + this.keysMayBe) throw new Refused("KEYS_TOO_OLD");
    return bundle;
  }

  remember(nonce, now) {
    const first = this.seen.get(nonce);
    if (first !== undefined && now - first > SCANNED_TWICE) throw new Refused("PASS_USED");
    if (first !== undefined) return;
    if (this.seen.size >= REMEMBERED) this.seen.delete(this.seen.keys().next().value);
    this.seen.set(nonce, now);
  }
}

function voided(bundle, { record, laboratory, sampledAt }) {
  return (
    bundle.records.has(record) ||
    bundle.laboratories.some(([digest, from, before]) => digest === laboratory && from <= sampledAt && sampledAt < before)
  );
}

function contents(payload) {
  let claims;
  try {
    claims = decoded(payload);
  } catch {
    throw new Refused("CLAIMS_MALFORMED");
  }
  if (!(claims instanceof Map) || !claims.has(PASS)) throw new Refused("NO_PASS");
  try {
    const body = claims.get(PASS);
    return {
      region: whole(body.get(1)).toString().padStart(6, "0"),
      scene: whole(body.get(2)),
      word: whole(body.get(3)),
      colour: whole(body.get(4)),
      until: body.has(5) ? whole(body.get(5)) : null,
      initials: text(body.get(6)),
      born: text(body.get(7)),
      restsOn: body.get(8).map(([record, laboratory, sampledAt]) => ({
        record: hex(record), laboratory: hex(laboratory), sampledAt: whole(sampledAt),
      })),
      nonce: hex(claims.get(7)),
      issuedAt: whole(claims.get(6)),
      expiresAt: whole(claims.get(4)),
    };
  } catch {
    throw new Refused("CLAIMS_MALFORMED");
  }
}

function whole(value) {
  if (!Number.isSafeInteger(value)) throw new TypeError();
  return value;
}

function text(value) {
  if (typeof value !== "string") throw new TypeError();
  return value;
}

async function unwrapped(scanned) {
  const trimmed = scanned.replace(/^[\r\n\t]+|[\r\n\t]+$/g, "");
  if (!trimmed.startsWith("HC1:")) throw new Refused("PREFIX_UNKNOWN");
  if (trimmed.length > MAX_TEXT) throw new Refused("CERTIFICATE_TOO_LARGE");
  return inflated(base45(trimmed.slice(4)), MAX_SIGNED);
}

function base45(encoded) {
  const digits = [...encoded].map((letter) => ALPHABET.indexOf(letter));
  if (digits.includes(-1) || digits.length % 3 === 1) throw new Refused("BASE45_MALFORMED");
  const bytes = [];
  for (let start = 0; start < digits.length; start += 3) {
    const [low, middle, high] = digits.slice(start, start + 3);
    const value = low + 45 * middle + (high === undefined ? 0 : 2025 * high);
    if (value > (high === undefined ? 0xff : 0xffff)) throw new Refused("BASE45_MALFORMED");
    if (high !== undefined) bytes.push(value >> 8);
    bytes.push(value & 0xff);
  }
  return Uint8Array.from(bytes);
}

async function inflated(bytes, limit) {
  const chunksRead = [];
  let size = 0;
  try {
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > limit) {
        await reader.cancel();
        break;
      }
      chunksRead.push(value);
    }
  } catch {
    throw new Refused("COMPRESSION_MALFORMED");
  }
  if (size > limit) throw new Refused("CERTIFICATE_TOO_LARGE");
  const whole_ = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunksRead) {
    whole_.set(chunk, at);
    at += chunk.length;
  }
  return whole_;
}

async function named(key) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", key.encoded));
  return { ...key, id: hex(digest.slice(0, 8)) };
}

async function verified(signed, keys) {
  let message;
  let header;
  try {
    message = decoded(signed);
    header = message[0].length ? decoded(message[0]) : new Map();
  } catch {
    throw new Refused("CBOR_MALFORMED");
  }
  if (!Array.isArray(message) || message.length !== 4 || !(header instanceof Map)) throw new Refused("CBOR_MALFORMED");
  const loose = message[1] instanceof Map ? message[1] : new Map();
  const id = header.get(4) ?? loose.get(4);
  const claimed = header.get(1) ?? loose.get(1);
  const candidates = id instanceof Uint8Array ? keys.filter((key) => key.id === hex(id)) : [];
  if (candidates.length === 0) throw new Refused("SIGNER_UNKNOWN");
  const content = signedContent(message[0], message[2]);
  for (const key of candidates) {
    const algorithm = await imported(key.encoded);
    if (algorithm === null || algorithm.number !== claimed) continue;
    if (await crypto.subtle.verify(algorithm.check, algorithm.imported, message[3], content)) {
      return { payload: message[2], key };
    }
  }
  throw new Refused("SIGNATURE_WRONG");
}

// The key decides the algorithm: it is what the key can be read as.
async function imported(encoded) {
  for (const algorithm of ALGORITHMS.values()) {
    try {
      const key = await crypto.subtle.importKey("spki", encoded, algorithm.key, false, ["verify"]);
      return { ...algorithm, imported: key };
    } catch {
      continue;
    }
  }
  return null;
}

// RFC 9052, 4.4: the array ["Signature1", protected, h'', payload].
function signedContent(protectedHeader, payload) {
  const label = new TextEncoder().encode("Signature1");
  return joined([
    [0x84, 0x60 + label.length], label, head(2, protectedHeader.length), protectedHeader, [0x40], head(2, payload.length), payload,
  ]);
}

function head(major, length) {
  if (length < 24) return [(major << 5) | length];
  if (length < 0x100) return [(major << 5) | 24, length];
  if (length < 0x10000) return [(major << 5) | 25, length >> 8, length & 0xff];
  return [(major << 5) | 26, (length >>> 24) & 0xff, (length >>> 16) & 0xff, (length >>> 8) & 0xff, length & 0xff];
}

function joined(parts) {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function hex(bytes) {
  if (!(bytes instanceof Uint8Array)) throw new TypeError();
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function chunks(bytes, size) {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.slice(at * size, (at + 1) * size));
}

// CBOR: whole numbers, bytes, texts, arrays, maps, and tags, which are left out. Lengths are definite; depth is bounded.
function decoded(bytes) {
  const [value, end] = item(bytes, 0, 0);
  if (end !== bytes.length) throw new RangeError("bytes are left over");
  return value;
}

function item(bytes, at, depth) {
  if (depth > 16 || at >= bytes.length) throw new RangeError("cut, or too deep");
  const major = bytes[at] >> 5;
  const [argument, next] = argumentOf(bytes, at);
  if (major === 0) return [argument, next];
  if (major === 1) return [-1 - argument, next];
  if (major === 2 || major === 3) {
    if (next + argument > bytes.length) throw new RangeError("cut");
    const content = bytes.slice(next, next + argument);
    return [major === 2 ? content : new TextDecoder("utf-8", { fatal: true }).decode(content), next + argument];
  }
  if (major === 6) return item(bytes, next, depth + 1);
  if (major === 7) throw new TypeError("no such value in a pass");
  if (argument > bytes.length) throw new RangeError("cut");
  const values = [];
  let position = next;
  for (let count = 0; count < argument * (major - 3); count += 1) {
    const [value, end] = item(bytes, position, depth + 1);
    values.push(value);
    position = end;
  }
  if (major === 4) return [values, position];
  return [new Map(Array.from({ length: argument }, (_, pair) => [values[2 * pair], values[2 * pair + 1]])), position];
}

function argumentOf(bytes, at) {
  const short = bytes[at] & 0x1f;
  if (short < 24) return [short, at + 1];
  if (short > 27) throw new RangeError("no definite length");
  const size = 1 << (short - 24);
  if (at + 1 + size > bytes.length) throw new RangeError("cut");
  let value = 0;
  for (let offset = 1; offset <= size; offset += 1) value = value * 256 + bytes[at + offset];
  if (!Number.isSafeInteger(value)) throw new RangeError("too large");
  return [value, at + 1 + size];
}
