package hutong.example;

import com.google.protobuf.Timestamp;
import com.google.rpc.ErrorInfo;
import com.hutong.common.v1.Document;
import com.hutong.common.v1.DocumentType;
import com.hutong.common.v1.Purpose;
import com.hutong.common.v1.Subject;
import com.hutong.records.v1.AmendRecordRequest;
import com.hutong.records.v1.Change;
import com.hutong.records.v1.ChangeFeedServiceGrpc;
import com.hutong.records.v1.ChangeFeedServiceGrpc.ChangeFeedServiceBlockingStub;
import com.hutong.records.v1.Channel;
import com.hutong.records.v1.FeedCursor;
import com.hutong.records.v1.ListChangesRequest;
import com.hutong.records.v1.RecordContent;
import com.hutong.records.v1.RecordIntakeServiceGrpc;
import com.hutong.records.v1.RecordIntakeServiceGrpc.RecordIntakeServiceStub;
import com.hutong.records.v1.RecordKind;
import com.hutong.records.v1.RecordSubmission;
import com.hutong.records.v1.RecordWriteServiceGrpc;
import com.hutong.records.v1.RecordWriteServiceGrpc.RecordWriteServiceBlockingStub;
import com.hutong.records.v1.RetractRecordRequest;
import com.hutong.records.v1.StreamRecordsRequest;
import com.hutong.records.v1.StreamRecordsResponse;
import com.hutong.records.v1.SubmitRecordRequest;
import com.hutong.records.v1.TestRecord;
import com.hutong.records.v1.TestResult;
import com.hutong.records.v1.Tube;
import com.hutong.records.v1.WatchChangesRequest;
import com.hutong.records.v1.WatchChangesResponse;
import com.hutong.verdict.v1.ComputeVerdictRequest;
import com.hutong.verdict.v1.VerdictQuery;
import com.hutong.verdict.v1.VerdictServiceGrpc;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.io.File;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * A region's system in one file: it submits, streams intake, amends, retracts, follows the feed, asks a verdict and reads an
 * error.
 */
public final class Region {
  private static final String REGION = "430000";
  private static final Purpose KEEPING = Purpose.PURPOSE_RECORD_KEEPING;
  private static final Subject PERSON =
      Subject.newBuilder()
          .setDocument(
              Document.newBuilder().setType(DocumentType.DOCUMENT_TYPE_RESIDENT_ID).setNumber("430102190909090094"))
          .build();

  private record Read(FeedCursor cursor, int changes) {}

  private static RecordContent content(TestResult result) {
    long now = Instant.now().getEpochSecond();
    return RecordContent.newBuilder()
        .setKind(RecordKind.RECORD_KIND_RESULT)
        .setResult(result)
        .setTube(Tube.TUBE_SINGLE)
        .setSampledAt(Timestamp.newBuilder().setSeconds(now - 36_000))
        .setReportedAt(Timestamp.newBuilder().setSeconds(now - 3_600))
        .setLaboratory("430000-xiangya")
        .setSite("430102")
        .setChannel(Channel.CHANNEL_LABORATORY)
        .build();
  }

  private static RecordSubmission submission(String sourceId) {
    return RecordSubmission.newBuilder()
        .setRegion(REGION)
        .setSourceId(sourceId)
        .setSubject(PERSON)
        .setContent(content(TestResult.TEST_RESULT_NEGATIVE))
        .build();
  }

  /** Opens a channel: with this system's certificate to a server that the authority vouches for, or in the clear. */
  private static ManagedChannel connect(String target, String name, String authority, String certificates)
      throws Exception {
    ManagedChannelBuilder<?> builder;
    if (certificates == null) {
      builder = Grpc.newChannelBuilder(target, InsecureChannelCredentials.create());
    } else {
      File own = new File(certificates, "region-" + REGION + "-system");
      builder =
          Grpc.newChannelBuilder(
                  target,
                  TlsChannelCredentials.newBuilder()
                      .trustManager(new File(certificates, "trust/" + authority + ".pem"))
                      .keyManager(new File(own, "tls.crt"), new File(own, "tls.key"))
                      .build())
              .overrideAuthority(name);
    }
    Metadata caller = new Metadata();
    // Where certificates are, the name in them counts instead.
    caller.put(Metadata.Key.of("hutong-caller", Metadata.ASCII_STRING_MARSHALLER), "region-430000");
    return builder
        .intercept(MetadataUtils.newAttachHeadersInterceptor(caller))
        .defaultLoadBalancingPolicy("round_robin")
        .build();
  }

  /** Sends what the session does not have yet, and leaves after so many batches, as a program that dies would. */
  private static void takeIn(
      RecordIntakeServiceStub stub, String session, List<List<RecordSubmission>> batches, int stopAfter)
      throws InterruptedException {
    var answers = new LinkedBlockingQueue<StreamRecordsResponse>();
    Context.CancellableContext call = Context.current().withCancellation();
    call.run(
        () -> {
          StreamObserver<StreamRecordsRequest> requests =
              stub.withDeadlineAfter(30, TimeUnit.SECONDS)
                  .streamRecords(
                      new StreamObserver<>() {
                        @Override
                        public void onNext(StreamRecordsResponse answer) {
                          answers.add(answer);
                        }

                        @Override
                        public void onError(Throwable error) {
                          answers.add(StreamRecordsResponse.newBuilder().setBatch(-1).build());
                        }

                        @Override
                        public void onCompleted() {}
                      });
          requests.onNext(StreamRecordsRequest.newBuilder().setSessionId(session).setPurpose(KEEPING).build());
          try {
            long durable = answers.take().getBatch();
            System.out.println("intake: the session stands at batch " + durable);
            for (long number = durable + 1; number <= Math.min(durable + stopAfter, batches.size()); number++) {
              requests.onNext(
                  StreamRecordsRequest.newBuilder()
                      .setBatch(number)
                      .addAllSubmissions(batches.get((int) number - 1))
                      .build());
              StreamRecordsResponse answer = answers.take();
              System.out.printf(
                  "intake: batch %d is durable, %d new records%n", answer.getBatch(), answer.getCreated());
            }
          } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
          }
        });
    call.cancel(null);
  }

  /** Reads the feed from a cursor until a revision appears in it; returns where that is, and how many changes came. */
  private static Read follow(ChangeFeedServiceBlockingStub stub, FeedCursor cursor, String sourceId, int revision)
      throws Exception {
    Context.CancellableContext call = Context.current().withCancellation();
    try {
      return call.call(
          () -> {
            FeedCursor at = cursor;
            int changes = 0;
            Iterator<WatchChangesResponse> messages =
                stub.withDeadlineAfter(30, TimeUnit.SECONDS)
                    .watchChanges(WatchChangesRequest.newBuilder().setCursor(cursor).build());
            while (messages.hasNext()) {
              WatchChangesResponse message = messages.next();
              changes += message.getChangesCount();
              at = message.getCursor(); // Keep it durably, in the same transaction as what you make of the changes.
              for (Change change : message.getChangesList()) {
                TestRecord record = change.getRecord();
                if (record.getSourceId().equals(sourceId) && record.getRevision() == revision) {
                  return new Read(at, changes);
                }
              }
            }
            throw new IllegalStateException("the feed ended");
          });
    } finally {
      call.cancel(null);
    }
  }

  /** Returns an error's reason, and what a program needs to act on it. */
  private static String reason(StatusRuntimeException error) throws Exception {
    com.google.rpc.Status status = StatusProto.fromThrowable(error);
    if (status != null) {
      for (com.google.protobuf.Any detail : status.getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          return info.getReason() + " " + info.getMetadataMap();
        }
      }
    }
    return error.getStatus().getCode().name();
  }

  private static void run(String records, String verdict, String certificates) throws Exception {
    ManagedChannel store = connect(records, "records." + REGION + ".region.hutong", "region-" + REGION, certificates);
    ManagedChannel judges = connect(verdict, "verdict.mesh.hutong", "mesh", certificates);
    RecordWriteServiceBlockingStub write =
        RecordWriteServiceGrpc.newBlockingStub(store).withDeadlineAfter(60, TimeUnit.SECONDS);
    ChangeFeedServiceBlockingStub feed = ChangeFeedServiceGrpc.newBlockingStub(store);
    RecordIntakeServiceStub intake = RecordIntakeServiceGrpc.newStub(store);

    String one = "EX-" + UUID.randomUUID().toString().substring(0, 8).toUpperCase() + "-1";
    FeedCursor now =
        feed.listChanges(ListChangesRequest.newBuilder().setCursor(FeedCursor.newBuilder().setSequence(-1)).build())
            .getCursor();
    TestRecord stored =
        write
            .submitRecord(
                SubmitRecordRequest.newBuilder()
                    .setSubmission(submission(one))
                    .setPurpose(KEEPING)
                    .setRequestId(UUID.randomUUID().toString())
                    .build())
            .getRecord();
    System.out.println("submitted: revision " + stored.getRevision());

    List<List<RecordSubmission>> batches = new ArrayList<>();
    for (int batch = 0; batch < 3; batch++) {
      List<RecordSubmission> rows = new ArrayList<>();
      for (int row = 0; row < 3; row++) {
        rows.add(submission(one + "-" + batch + "-" + row));
      }
      batches.add(rows);
    }
    String session = UUID.randomUUID().toString();
    takeIn(intake, session, batches, 1);
    takeIn(intake, session, batches, 9);
    Read first = follow(feed, now, one + "-2-2", 1);
    System.out.printf("feed: %d changes so far%n", first.changes());

    System.out.println(
        "verdict: "
            + VerdictServiceGrpc.newBlockingStub(judges)
                .withDeadlineAfter(5, TimeUnit.SECONDS)
                .computeVerdict(
                    ComputeVerdictRequest.newBuilder()
                        .setQuery(VerdictQuery.newBuilder().setSubject(PERSON).setRegion(REGION))
                        .setPurpose(Purpose.PURPOSE_REGIONAL_SERVICE)
                        .build())
                .getVerdict()
                .getStatus());

    TestRecord amended =
        write
            .amendRecord(
                AmendRecordRequest.newBuilder()
                    .setRegion(REGION)
                    .setSourceId(one)
                    .setRevision(1)
                    .setPurpose(KEEPING)
                    .setContent(content(TestResult.TEST_RESULT_INCONCLUSIVE))
                    .setCause("read again")
                    .build())
            .getRecord();
    System.out.println("amended: revision " + amended.getRevision());
    RetractRecordRequest.Builder retraction =
        RetractRecordRequest.newBuilder()
            .setRegion(REGION)
            .setSourceId(one)
            .setRevision(1)
            .setPurpose(KEEPING)
            .setCause("too late");
    try {
      write.retractRecord(retraction.build());
    } catch (StatusRuntimeException error) {
      System.out.printf("refused: %s %s%n", error.getStatus().getCode(), reason(error));
    }
    TestRecord retracted =
        write.retractRecord(retraction.setRevision(2).setCause("the sample was mixed up").build()).getRecord();
    System.out.println("retracted: revision " + retracted.getRevision());

    // Another program, a day later, would go on from the cursor in the same way.
    System.out.printf("feed: %d more since%n", follow(feed, first.cursor(), one, retracted.getRevision()).changes());
    store.shutdownNow();
    judges.shutdownNow();
  }

  public static void main(String[] args) throws Exception {
    Map<String, String> given = new HashMap<>(Map.of("--records", "127.0.0.1:8097", "--verdict", "127.0.0.1:8082"));
    for (int at = 0; at + 1 < args.length; at += 2) {
      given.put(args[at], args[at + 1]);
    }
    run(given.get("--records"), given.get("--verdict"), given.get("--certificates"));
  }
}
