// A region's system in one file: it submits, streams intake, amends, retracts, follows the feed, asks a verdict and reads an
// error.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "hutong.internal/protos/hutong/common/v1"
	recordsv1 "hutong.internal/protos/hutong/records/v1"
	verdictv1 "hutong.internal/protos/hutong/verdict/v1"
)

const (
	region  = "430000"
	keeping = commonv1.Purpose_PURPOSE_RECORD_KEEPING
)

var person = &commonv1.Subject{Subject: &commonv1.Subject_Document{Document: &commonv1.Document{
	Type: commonv1.DocumentType_DOCUMENT_TYPE_RESIDENT_ID, Number: "430102190909090094",
}}}

func content(result recordsv1.TestResult) *recordsv1.RecordContent {
	now := time.Now()
	return &recordsv1.RecordContent{
		Kind: recordsv1.RecordKind_RECORD_KIND_RESULT, Result: result, Tube: recordsv1.Tube_TUBE_SINGLE,
		SampledAt: timestamppb.New(now.Add(-10 * time.Hour)), ReportedAt: timestamppb.New(now.Add(-time.Hour)),
		Laboratory: "430000-xiangya", Site: "430102", Channel: recordsv1.Channel_CHANNEL_LABORATORY,
	}
}

func submission(sourceID string) *recordsv1.RecordSubmission {
	return &recordsv1.RecordSubmission{
		Region: region, SourceId: sourceID, Subject: person, Content: content(recordsv1.TestResult_TEST_RESULT_NEGATIVE),
	}
}

// connect opens a channel: with this system's certificate to a server that the authority vouches for, or in the clear where
// there are no certificates.
func connect(target, name, authority, certificates string) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if certificates != "" {
		own := filepath.Join(certificates, "region-"+region+"-system")
		certificate, err := tls.LoadX509KeyPair(filepath.Join(own, "tls.crt"), filepath.Join(own, "tls.key"))
		if err != nil {
			return nil, err
		}
		trusted, err := os.ReadFile(filepath.Join(certificates, "trust", authority+".pem"))
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(trusted)
		transport = credentials.NewTLS(&tls.Config{
			Certificates: []tls.Certificate{certificate}, RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS13,
		})
	}
	return grpc.NewClient(target, grpc.WithTransportCredentials(transport),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`))
}

// within gives a call its deadline and its caller's name; where certificates are, the name in them counts instead.
func within(limit time.Duration) (context.Context, context.CancelFunc) {
	named := metadata.AppendToOutgoingContext(context.Background(), "hutong-caller", "region-430000")
	return context.WithTimeout(named, limit)
}

// takeIn sends what the session does not have yet, and leaves after so many batches, as a program that dies would.
func takeIn(client recordsv1.RecordIntakeServiceClient, session string, batches [][]*recordsv1.RecordSubmission, stopAfter int64) error {
	ctx, cancel := within(30 * time.Second)
	defer cancel()
	stream, err := client.StreamRecords(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&recordsv1.StreamRecordsRequest{SessionId: session, Purpose: keeping}); err != nil {
		return err
	}
	opened, err := stream.Recv()
	if err != nil {
		return err
	}
	fmt.Printf("intake: the session stands at batch %d\n", opened.Batch)
	last := min(opened.Batch+stopAfter, int64(len(batches)))
	for number := opened.Batch + 1; number <= last; number++ {
		if err := stream.Send(&recordsv1.StreamRecordsRequest{Batch: number, Submissions: batches[number-1]}); err != nil {
			return err
		}
		acknowledged, err := stream.Recv()
		if err != nil {
			return err
		}
		fmt.Printf("intake: batch %d is durable, %d new records\n", acknowledged.Batch, acknowledged.Created)
	}
	return nil
}

// follow reads the feed from a cursor until a revision appears in it; it returns where that is, and how many changes came.
func follow(client recordsv1.ChangeFeedServiceClient, cursor *recordsv1.FeedCursor, sourceID string, revision int32) (*recordsv1.FeedCursor, int, error) {
	ctx, cancel := within(30 * time.Second)
	defer cancel()
	stream, err := client.WatchChanges(ctx, &recordsv1.WatchChangesRequest{Cursor: cursor})
	if err != nil {
		return nil, 0, err
	}
	for count := 0; ; {
		message, err := stream.Recv()
		if err != nil {
			return nil, 0, err
		}
		count += len(message.Changes)
		cursor = message.Cursor // Keep it durably, in the same transaction as what you make of the changes.
		for _, change := range message.Changes {
			if record := change.GetRecord(); record.GetSourceId() == sourceID && record.GetRevision() == revision {
				return cursor, count, nil
			}
		}
	}
}

// reason returns an error's reason, and what a program needs to act on it.
func reason(err error) string {
	refused := status.Convert(err)
	for _, detail := range refused.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return fmt.Sprintf("%s %v", info.Reason, info.Metadata)
		}
	}
	return refused.Code().String()
}

func run(records, verdict, certificates string) error {
	store, err := connect(records, "records."+region+".region.hutong", "region-"+region, certificates)
	if err != nil {
		return err
	}
	defer store.Close()
	judges, err := connect(verdict, "verdict.mesh.hutong", "mesh", certificates)
	if err != nil {
		return err
	}
	defer judges.Close()
	write, feed := recordsv1.NewRecordWriteServiceClient(store), recordsv1.NewChangeFeedServiceClient(store)
	intake := recordsv1.NewRecordIntakeServiceClient(store)

	ctx, cancel := within(30 * time.Second)
	defer cancel()
	one := "EX-" + rand.Text()[:12] + "-1"
	now, err := feed.ListChanges(ctx, &recordsv1.ListChangesRequest{Cursor: &recordsv1.FeedCursor{Sequence: -1}})
	if err != nil {
		return err
	}
	stored, err := write.SubmitRecord(ctx, &recordsv1.SubmitRecordRequest{Submission: submission(one), Purpose: keeping})
	if err != nil {
		return err
	}
	fmt.Printf("submitted: revision %d\n", stored.Record.Revision)

	batches := make([][]*recordsv1.RecordSubmission, 3)
	for batch := range batches {
		for row := range 3 {
			batches[batch] = append(batches[batch], submission(fmt.Sprintf("%s-%d-%d", one, batch, row)))
		}
	}
	session := uuid()
	for _, stopAfter := range []int64{1, 9} {
		if err := takeIn(intake, session, batches, stopAfter); err != nil {
			return err
		}
	}
	cursor, count, err := follow(feed, now.Cursor, one+"-2-2", 1)
	if err != nil {
		return err
	}
	fmt.Printf("feed: %d changes so far\n", count)

	answer, err := verdictv1.NewVerdictServiceClient(judges).ComputeVerdict(ctx, &verdictv1.ComputeVerdictRequest{
		Query:   &verdictv1.VerdictQuery{Subject: person, Region: region},
		Purpose: commonv1.Purpose_PURPOSE_REGIONAL_SERVICE,
	})
	if err != nil {
		return err
	}
	fmt.Printf("verdict: %s\n", answer.Verdict.Status)

	amended, err := write.AmendRecord(ctx, &recordsv1.AmendRecordRequest{
		Region: region, SourceId: one, Revision: 1, Purpose: keeping, Cause: "read again",
		Content: content(recordsv1.TestResult_TEST_RESULT_INCONCLUSIVE),
	})
	if err != nil {
		return err
	}
	fmt.Printf("amended: revision %d\n", amended.Record.Revision)
	retraction := &recordsv1.RetractRecordRequest{Region: region, SourceId: one, Revision: 1, Purpose: keeping, Cause: "too late"}
	if _, err := write.RetractRecord(ctx, retraction); err != nil {
		fmt.Printf("refused: %s %s\n", status.Code(err), reason(err))
	}
	retraction.Revision, retraction.Cause = 2, "the sample was mixed up"
	retracted, err := write.RetractRecord(ctx, retraction)
	if err != nil {
		return err
	}
	fmt.Printf("retracted: revision %d\n", retracted.Record.Revision)

	// Another program, a day later, would go on from the cursor in the same way.
	if _, count, err = follow(feed, cursor, one, retracted.Record.Revision); err != nil {
		return err
	}
	fmt.Printf("feed: %d more since\n", count)
	return nil
}

func uuid() string {
	var bytes [16]byte
	rand.Read(bytes[:])
	bytes[6], bytes[8] = bytes[6]&0x0f|0x40, bytes[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", bytes[:4], bytes[4:6], bytes[6:8], bytes[8:10], bytes[10:])
}

func main() {
	records := flag.String("records", "127.0.0.1:8097", "the region's store")
	verdict := flag.String("verdict", "127.0.0.1:8082", "the verdict service")
	certificates := flag.String("certificates", "", "a folder of `hutong certs dev`")
	flag.Parse()
	if err := run(*records, *verdict, *certificates); err != nil {
		log.Fatalf("%s: %v", reason(err), err)
	}
}
