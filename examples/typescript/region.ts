// A region's system in one file: it submits, streams intake, amends, retracts, follows the feed, asks a verdict and reads an
// error. Connect speaks gRPC; the types are generated from the contracts.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type CallOptions, type Client, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { ErrorInfoSchema } from "./gen/google/rpc/error_info_pb.js";
import { DocumentType, Purpose, SubjectSchema } from "./gen/hutong/common/v1/subject_pb.js";
import { ChangeFeedService, type FeedCursor } from "./gen/hutong/records/v1/change_feed_service_pb.js";
import { RecordIntakeService, StreamRecordsRequestSchema } from "./gen/hutong/records/v1/intake_service_pb.js";
import { Channel, RecordContentSchema, RecordKind, TestResult, Tube } from "./gen/hutong/records/v1/record_pb.js";
import { RecordSubmissionSchema, RecordWriteService } from "./gen/hutong/records/v1/record_write_service_pb.js";
import { Status } from "./gen/hutong/verdict/v1/verdict_pb.js";
import { VerdictService } from "./gen/hutong/verdict/v1/verdict_service_pb.js";

const { values: args } = parseArgs({
  options: {
    records: { type: "string", default: "127.0.0.1:8097" },
    verdict: { type: "string", default: "127.0.0.1:8082" },
    certificates: { type: "string" },
  },
});

const region = "430000";
const purpose = Purpose.RECORD_KEEPING;
const person = create(SubjectSchema, {
  subject: { case: "document", value: { type: DocumentType.RESIDENT_ID, number: "430102190909090094" } },
});

// Where certificates are, the name in them counts instead.
const named: Interceptor = (next) => (request) => {
  request.header.set("hutong-caller", "region-430000");
  return next(request);
};

// With this system's certificate, to a server that the authority vouches for; in the clear where there are no certificates.
function transport(target: string, name: string, authority: string) {
  if (args.certificates === undefined) return createGrpcTransport({ baseUrl: `http://${target}`, interceptors: [named] });
  const [ca, key, cert] = [`trust/${authority}.pem`, `region-${region}-system/tls.key`, `region-${region}-system/tls.crt`].map((file) =>
    readFileSync(`${args.certificates}/${file}`),
  );
  return createGrpcTransport({
    baseUrl: `https://${target}`, interceptors: [named],
    nodeOptions: { ca, key, cert, servername: name, minVersion: "TLSv1.3" },
  });
}

function within(seconds: number): CallOptions {
  return { timeoutMs: seconds * 1000 };
}

function content(result: TestResult): MessageInitShape<typeof RecordContentSchema> {
  const hoursAgo = (hours: number) => timestampFromMs(Date.now() - hours * 3_600_000);
  return {
    kind: RecordKind.RESULT, result, tube: Tube.SINGLE, sampledAt: hoursAgo(10), reportedAt: hoursAgo(1),
    laboratory: "430000-xiangya", site: "430102", channel: Channel.LABORATORY,
  };
}

function submission(sourceId: string): MessageInitShape<typeof RecordSubmissionSchema> {
  return { region, sourceId, subject: person, content: content(TestResult.NEGATIVE) };
}

type Batches = MessageInitShape<typeof RecordSubmissionSchema>[][];

// Sends what the session does not have yet, and leaves after so many batches, as a program that dies would.
async function takeIn(client: Client<typeof RecordIntakeService>, sessionId: string, batches: Batches, stopAfter: number) {
  const stop = new AbortController();
  let go: (durable: number) => void = () => {};
  const stands = new Promise<number>((resolve) => (go = resolve));
  async function* requests(): AsyncGenerator<MessageInitShape<typeof StreamRecordsRequestSchema>> {
    yield { sessionId, purpose };
    const durable = await stands;
    for (let number = durable + 1; number <= Math.min(durable + stopAfter, batches.length); number += 1) {
      yield { batch: BigInt(number), submissions: batches[number - 1] };
    }
  }
  let opened = false;
  for await (const answer of client.streamRecords(requests(), { ...within(30), signal: stop.signal })) {
    const batch = Number(answer.batch);
    console.log(opened ? `intake: batch ${batch} is durable, ${answer.created} new records` : `intake: the session stands at batch ${batch}`);
    if (!opened) go(batch);
    opened = true;
  }
}

// Reads the feed from a cursor until a revision appears in it; returns where that is, and how many changes came.
async function follow(client: Client<typeof ChangeFeedService>, from: FeedCursor | undefined, sourceId: string, revision: number) {
  const stop = new AbortController();
  let [cursor, count] = [from, 0];
  for await (const message of client.watchChanges({ cursor }, { ...within(30), signal: stop.signal })) {
    count += message.changes.length;
    cursor = message.cursor; // Keep it durably, in the same transaction as what you make of the changes.
    if (message.changes.some(({ change }) => change.case === "record" && change.value.sourceId === sourceId && change.value.revision === revision)) break;
  }
  stop.abort();
  return { cursor, count };
}

// Returns an error's reason, and what a program needs to act on it.
function reason(error: ConnectError): string {
  const [info] = error.findDetails(ErrorInfoSchema);
  return info === undefined ? Code[error.code] : `${info.reason} ${JSON.stringify(info.metadata)}`;
}

const store = transport(args.records, `records.${region}.region.hutong`, `region-${region}`);
const write = createClient(RecordWriteService, store);
const feed = createClient(ChangeFeedService, store);
const intake = createClient(RecordIntakeService, store);
const judge = createClient(VerdictService, transport(args.verdict, "verdict.mesh.hutong", "mesh"));

const run = randomUUID().slice(0, 8).toUpperCase();
const one = `EX-${run}-1`;
const now = await feed.listChanges({ cursor: { sequence: -1n } }, within(5));
const stored = await write.submitRecord({ submission: submission(one), purpose, requestId: randomUUID() }, within(5));
console.log(`submitted: revision ${stored.record?.revision}`);

const ids = [2, 3, 4].map((batch) => [0, 1, 2].map((row) => `EX-${run}-${batch}-${row}`));
const session = randomUUID();
for (const stopAfter of [1, 9]) await takeIn(intake, session, ids.map((batch) => batch.map(submission)), stopAfter);

const first = await follow(feed, now.cursor, ids[2]![2]!, 1);
console.log(`feed: ${first.count} changes so far`);

const answer = await judge.computeVerdict({ query: { subject: person, region }, purpose: Purpose.REGIONAL_SERVICE }, within(5));
console.log(`verdict: ${Status[answer.verdict!.status]}`);

const about = { region, sourceId: one, purpose };
const amended = await write.amendRecord({ ...about, revision: 1, content: content(TestResult.INCONCLUSIVE), cause: "read again" }, within(5));
console.log(`amended: revision ${amended.record?.revision}`);
try {
  await write.retractRecord({ ...about, revision: 1, cause: "too late" }, within(5));
} catch (error) {
  const refused = ConnectError.from(error);
  console.log(`refused: ${Code[refused.code]} ${reason(refused)}`);
}
const retracted = await write.retractRecord({ ...about, revision: 2, cause: "the sample was mixed up" }, within(5));
console.log(`retracted: revision ${retracted.record?.revision}`);

// Another program, a day later, would go on from the cursor in the same way.
const second = await follow(feed, first.cursor, one, retracted.record!.revision);
console.log(`feed: ${second.count} more since`);
process.exit(0);
