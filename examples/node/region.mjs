// A region's system in one file: it submits, streams intake, amends, retracts, follows the feed, asks a verdict and reads an
// error. The contracts are read as they stand in protos/: nothing is generated.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const { values: args } = parseArgs({
  options: {
    records: { type: "string", default: "127.0.0.1:8097" },
    verdict: { type: "string", default: "127.0.0.1:8082" },
    certificates: { type: "string" },
    protos: { type: "string", default: new URL("../../protos", import.meta.url).pathname },
  },
});

const REGION = "430000";
const KEEPING = "PURPOSE_RECORD_KEEPING";
const PERSON = { document: { type: "DOCUMENT_TYPE_RESIDENT_ID", number: "430102190909090094" } };

const files = ["records/v1/record_write_service", "records/v1/intake_service", "records/v1/change_feed_service", "verdict/v1/verdict_service"];
const definition = loader.loadSync(files.map((file) => `hutong/${file}.proto`), {
  includeDirs: [args.protos], keepCase: true, longs: String, enums: String, defaults: true, oneofs: true,
});
const { hutong } = grpc.loadPackageDefinition(definition);
// Errors carry a google.rpc.Status; its two messages are small enough to say here.
const errors = loader.fromJSON({
  nested: {
    Any: { fields: { type_url: { type: "string", id: 1 }, value: { type: "bytes", id: 2 } } },
    Status: { fields: { code: { type: "int32", id: 1 }, message: { type: "string", id: 2 }, details: { rule: "repeated", type: "Any", id: 3 } } },
    ErrorInfo: {
      fields: { reason: { type: "string", id: 1 }, domain: { type: "string", id: 2 }, metadata: { keyType: "string", type: "string", id: 3 } },
    },
    Reader: { methods: { Status: { requestType: "Status", responseType: "Status" }, Info: { requestType: "ErrorInfo", responseType: "ErrorInfo" } } },
  },
}).Reader;

// With this system's certificate, to a server that the authority vouches for; in the clear where there are no certificates.
function open(Client, target, name, authority) {
  const options = { "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }) };
  if (!args.certificates) return new Client(target, grpc.credentials.createInsecure(), options);
  const [trust, key, certificate] = [`trust/${authority}.pem`, `region-${REGION}-system/tls.key`, `region-${REGION}-system/tls.crt`].map((file) =>
    readFileSync(`${args.certificates}/${file}`),
  );
  return new Client(target, grpc.credentials.createSsl(trust, key, certificate), { ...options, "grpc.ssl_target_name_override": name });
}

function metadata() {
  const entries = new grpc.Metadata();
  entries.set("hutong-caller", "region-430000"); // Where certificates are, the name in them counts instead.
  return entries;
}

function within(seconds) {
  return { deadline: Date.now() + seconds * 1000 };
}

function call(client, method, request) {
  return new Promise((resolve, reject) =>
    client[method](request, metadata(), within(5), (error, answer) => (error ? reject(error) : resolve(answer))),
  );
}

function content(result) {
  const now = Math.floor(Date.now() / 1000);
  return {
    kind: "RECORD_KIND_RESULT", result, tube: "TUBE_SINGLE", sampled_at: { seconds: now - 36000 }, reported_at: { seconds: now - 3600 },
    laboratory: "430000-xiangya", site: "430102", channel: "CHANNEL_LABORATORY",
  };
}

// Sends what the session does not have yet, and leaves after so many batches, as a program that dies would.
async function takeIn(client, session, batches, stopAfter) {
  const stream = client.StreamRecords(metadata(), within(30));
  const answers = stream[Symbol.asyncIterator]();
  stream.write({ session_id: session, purpose: KEEPING });
  const durable = Number((await answers.next()).value.batch);
  console.log(`intake: the session stands at batch ${durable}`);
  for (let number = durable + 1; number <= Math.min(durable + stopAfter, batches.length); number += 1) {
    stream.write({ batch: number, submissions: batches[number - 1] });
    const { value } = await answers.next();
    console.log(`intake: batch ${value.batch} is durable, ${value.created} new records`);
  }
  stream.on("error", () => {});
  stream.cancel();
}

// Reads the feed from a cursor until a revision appears in it; returns where that is, and how many changes came.
async function follow(client, from, sourceId, revision) {
  let [cursor, count] = [from, 0];
  const stream = client.WatchChanges({ cursor }, metadata(), within(30));
  for await (const message of stream) {
    count += message.changes.length;
    cursor = message.cursor; // Keep it durably, in the same transaction as what you make of the changes.
    if (message.changes.some(({ record }) => record?.source_id === sourceId && record.revision === revision)) break;
  }
  stream.on("error", () => {});
  stream.cancel();
  return [cursor, count];
}

// Returns an error's reason, and what a program needs to act on it.
function reason(error) {
  for (const packed of error.metadata?.get("grpc-status-details-bin") ?? []) {
    for (const detail of errors.Status.requestDeserialize(packed).details) {
      if (detail.type_url.endsWith("google.rpc.ErrorInfo")) {
        const info = errors.Info.requestDeserialize(detail.value);
        return `${info.reason} ${JSON.stringify(info.metadata)}`;
      }
    }
  }
  return grpc.status[error.code];
}

const name = `records.${REGION}.region.hutong`;
const write = open(hutong.records.v1.RecordWriteService, args.records, name, `region-${REGION}`);
const intake = open(hutong.records.v1.RecordIntakeService, args.records, name, `region-${REGION}`);
const feed = open(hutong.records.v1.ChangeFeedService, args.records, name, `region-${REGION}`);
const judge = open(hutong.verdict.v1.VerdictService, args.verdict, "verdict.mesh.hutong", "mesh");

const run = randomUUID().slice(0, 8).toUpperCase();
const one = `EX-${run}-1`;
const submission = (sourceId) => ({ region: REGION, source_id: sourceId, subject: PERSON, content: content("TEST_RESULT_NEGATIVE") });

const now = await call(feed, "ListChanges", { cursor: { sequence: -1 } });
const stored = await call(write, "SubmitRecord", { submission: submission(one), purpose: KEEPING, request_id: randomUUID() });
console.log(`submitted: revision ${stored.record.revision}`);

const ids = [2, 3, 4].map((batch) => [0, 1, 2].map((row) => `EX-${run}-${batch}-${row}`));
const batches = ids.map((batch) => batch.map(submission));
const session = randomUUID();
await takeIn(intake, session, batches, 1);
await takeIn(intake, session, batches, 9);

const [cursor, first] = await follow(feed, now.cursor, ids[2][2], 1);
console.log(`feed: ${first} changes so far`);

const asked = { query: { subject: PERSON, region: REGION }, purpose: "PURPOSE_REGIONAL_SERVICE" };
console.log(`verdict: ${(await call(judge, "ComputeVerdict", asked)).verdict.status}`);

const named = { region: REGION, source_id: one, purpose: KEEPING };
const amended = await call(write, "AmendRecord", { ...named, revision: 1, content: content("TEST_RESULT_INCONCLUSIVE"), cause: "read again" });
console.log(`amended: revision ${amended.record.revision}`);
try {
  await call(write, "RetractRecord", { ...named, revision: 1, cause: "too late" });
} catch (error) {
  console.log(`refused: ${grpc.status[error.code]} ${reason(error)}`);
}
const retracted = await call(write, "RetractRecord", { ...named, revision: 2, cause: "the sample was mixed up" });
console.log(`retracted: revision ${retracted.record.revision}`);

// Another program, a day later, would go on from the cursor in the same way.
const [, second] = await follow(feed, cursor, one, retracted.record.revision);
console.log(`feed: ${second} more since`);
for (const client of [write, intake, feed, judge]) client.close();
