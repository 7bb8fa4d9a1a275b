// A region of its own making: it keeps a handful of records in memory and serves RecordReadService and ChangeFeedService, so
// that the nation can follow it and lookup can ask it. SIGTERM drains it.
package main

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "hutong.internal/protos/hutong/common/v1"
	recordsv1 "hutong.internal/protos/hutong/records/v1"
)

const (
	region     = "430000"
	feedID     = "example-feed" // Another one when the store is made anew.
	mostPeople = 1000
)

type store struct {
	recordsv1.UnimplementedRecordReadServiceServer
	recordsv1.UnimplementedChangeFeedServiceServer
	fingerprint []byte // Of the mesh's secret, under which person keys are made.
	changes     []*recordsv1.Change
	draining    chan struct{}
}

// refuse makes an error with the reason that a program acts on, and the field that is wrong.
func refuse(code codes.Code, reason, field, fieldReason string) error {
	details := []protoadapt.MessageV1{protoadapt.MessageV1Of(&errdetails.ErrorInfo{Reason: reason, Domain: "hutong"})}
	if field != "" {
		violation := &errdetails.BadRequest_FieldViolation{Field: field, Reason: fieldReason}
		bad := &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{violation}}
		details = append(details, protoadapt.MessageV1Of(bad))
	}
	detailed, err := status.New(code, reason).WithDetails(details...)
	if err != nil {
		return status.Error(code, reason)
	}
	return detailed.Err()
}

func (s *store) identity() *commonv1.StoreIdentity {
	return &commonv1.StoreIdentity{
		Kind: commonv1.StoreKind_STORE_KIND_RECORDS, Region: region, FeedId: feedID, SecretFingerprint: s.fingerprint,
	}
}

// cursor names a place in the feed, and the commit that is there: a store restored from a backup has another mark.
func cursor(sequence int64) *recordsv1.FeedCursor {
	return &recordsv1.FeedCursor{FeedId: feedID, Sequence: sequence, Mark: fmt.Appendf(nil, "commit-%d", sequence)}
}

// position returns up to where a reader has seen everything. A cursor of another history is refused, never guessed at.
func (s *store) position(from *recordsv1.FeedCursor) (int64, error) {
	end := int64(len(s.changes))
	if from.GetFeedId() == "" {
		if from.GetSequence() == -1 {
			return end, nil
		}
		return 0, nil
	}
	other := len(from.Mark) > 0 && !bytes.Equal(from.Mark, cursor(from.Sequence).Mark)
	if from.FeedId != feedID || from.Sequence < 0 || from.Sequence > end || other {
		return 0, refuse(codes.FailedPrecondition, "FEED_REBUILT", "", "")
	}
	return from.Sequence, nil
}

func (s *store) ListChanges(_ context.Context, asked *recordsv1.ListChangesRequest) (*recordsv1.ListChangesResponse, error) {
	after, err := s.position(asked.Cursor)
	if err != nil {
		return nil, err
	}
	size := int64(cmp.Or(asked.PageSize, 500))
	end := min(after+min(size, 5000), int64(len(s.changes)))
	return &recordsv1.ListChangesResponse{Changes: s.changes[after:end], Cursor: cursor(end), Identity: s.identity()}, nil
}

// WatchChanges sends what there is, then a sign of life each second, and ends with DRAINING when the server is to stop.
func (s *store) WatchChanges(asked *recordsv1.WatchChangesRequest, stream grpc.ServerStreamingServer[recordsv1.WatchChangesResponse]) error {
	after, err := s.position(asked.Cursor)
	if err != nil {
		return err
	}
	alive := time.NewTicker(time.Second)
	defer alive.Stop()
	for {
		end := int64(len(s.changes))
		message := &recordsv1.WatchChangesResponse{
			Changes: s.changes[after:end], Cursor: cursor(end), Identity: s.identity(), ToldAt: timestamppb.Now(),
		}
		if err := stream.Send(message); err != nil {
			return err
		}
		after = end
		select {
		case <-alive.C:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-s.draining:
			return refuse(codes.Unavailable, "DRAINING", "", "")
		}
	}
}

// current returns a person's records as known at an instant, newest sample first, retracted ones included.
func (s *store) current(person []byte, knownAt *timestamppb.Timestamp) []*recordsv1.TestRecord {
	newest := map[string]*recordsv1.TestRecord{}
	for _, change := range s.changes {
		record := change.GetRecord()
		known := knownAt == nil || !record.RecordedAt.AsTime().After(knownAt.AsTime())
		if known && bytes.Equal(record.PersonKey, person) {
			newest[record.SourceId] = record
		}
	}
	records := make([]*recordsv1.TestRecord, 0, len(newest))
	for _, record := range newest {
		records = append(records, record)
	}
	slices.SortFunc(records, func(one, other *recordsv1.TestRecord) int {
		return other.Content.SampledAt.AsTime().Compare(one.Content.SampledAt.AsTime())
	})
	return records
}

func checked(purpose commonv1.Purpose, subjects []*commonv1.Subject) error {
	if purpose == commonv1.Purpose_PURPOSE_UNSPECIFIED {
		return refuse(codes.InvalidArgument, "INVALID_ARGUMENT", "purpose", "PURPOSE_REQUIRED")
	}
	if len(subjects) < 1 || len(subjects) > mostPeople {
		return refuse(codes.InvalidArgument, "INVALID_ARGUMENT", "subjects", "BATCH_SIZE")
	}
	for _, subject := range subjects {
		if len(subject.GetPersonKey()) == 0 {
			return refuse(codes.InvalidArgument, "INVALID_ARGUMENT", "subjects", "SUBJECT_REQUIRED")
		}
	}
	return nil
}

// BatchListRecords gives everything: whoever asks for a part of the past may be given more of it.
func (s *store) BatchListRecords(_ context.Context, asked *recordsv1.BatchListRecordsRequest) (*recordsv1.BatchListRecordsResponse, error) {
	if err := checked(asked.Purpose, asked.Subjects); err != nil {
		return nil, err
	}
	answer := &recordsv1.BatchListRecordsResponse{Identity: s.identity(), KnownAt: asked.KnownAt}
	for _, subject := range asked.Subjects {
		person := subject.GetPersonKey()
		answer.People = append(answer.People, &recordsv1.PersonRecords{PersonKey: person, Records: s.current(person, asked.KnownAt)})
	}
	return answer, nil
}

func (s *store) BatchListRecordsAtInstants(ctx context.Context, asked *recordsv1.BatchListRecordsAtInstantsRequest) (*recordsv1.BatchListRecordsAtInstantsResponse, error) {
	answer := &recordsv1.BatchListRecordsAtInstantsResponse{}
	for _, question := range asked.Questions {
		then, err := s.BatchListRecords(ctx, &recordsv1.BatchListRecordsRequest{
			Subjects: question.Subjects, Purpose: asked.Purpose, KnownAt: question.KnownAt,
		})
		if err != nil {
			return nil, err
		}
		answer.Answers = append(answer.Answers, then)
	}
	return answer, nil
}

func (s *store) ListRecords(_ context.Context, asked *recordsv1.ListRecordsRequest) (*recordsv1.ListRecordsResponse, error) {
	if err := checked(asked.Purpose, []*commonv1.Subject{asked.Subject}); err != nil {
		return nil, err
	}
	records := s.current(asked.Subject.GetPersonKey(), asked.KnownAt)
	start := 0
	if asked.PageToken != "" {
		var err error
		if start, err = strconv.Atoi(asked.PageToken); err != nil || start < 0 || start > len(records) {
			return nil, refuse(codes.InvalidArgument, "INVALID_ARGUMENT", "page_token", "PAGE_TOKEN")
		}
	}
	end := min(start+int(min(cmp.Or(asked.PageSize, 100), 1000)), len(records))
	answer := &recordsv1.ListRecordsResponse{Records: records[start:end], Identity: s.identity()}
	if end < len(records) {
		answer.NextPageToken = strconv.Itoa(end)
	}
	return answer, nil
}

func (s *store) GetRecordHistory(_ context.Context, asked *recordsv1.GetRecordHistoryRequest) (*recordsv1.GetRecordHistoryResponse, error) {
	answer := &recordsv1.GetRecordHistoryResponse{Identity: s.identity()}
	for _, change := range s.changes {
		if record := change.GetRecord(); record.Region == asked.Region && record.SourceId == asked.SourceId {
			answer.Revisions = append(answer.Revisions, record)
		}
	}
	if len(answer.Revisions) == 0 {
		return nil, refuse(codes.NotFound, "RECORD_NOT_FOUND", "", "")
	}
	return answer, nil
}

func (s *store) GetLaboratory(context.Context, *recordsv1.GetLaboratoryRequest) (*recordsv1.GetLaboratoryResponse, error) {
	return nil, refuse(codes.NotFound, "LABORATORY_NOT_FOUND", "", "")
}

func (s *store) ListLaboratories(context.Context, *recordsv1.ListLaboratoriesRequest) (*recordsv1.ListLaboratoriesResponse, error) {
	return &recordsv1.ListLaboratoriesResponse{Identity: s.identity()}, nil
}

// samples returns twelve records of three people, of which one was retracted and one amended since.
func samples() []*recordsv1.Change {
	begin := time.Date(2022, 7, 1, 0, 0, 0, 0, time.UTC)
	type step struct {
		number, revision int
		action           recordsv1.RevisionAction
		cause            string
	}
	steps := make([]step, 0, 14)
	for number := range 12 {
		steps = append(steps, step{number, 1, recordsv1.RevisionAction_REVISION_ACTION_SUBMITTED, ""})
	}
	steps = append(steps,
		step{4, 2, recordsv1.RevisionAction_REVISION_ACTION_RETRACTED, "a slip"},
		step{5, 2, recordsv1.RevisionAction_REVISION_ACTION_AMENDED, "a slip"})
	changes := make([]*recordsv1.Change, 0, len(steps))
	for at, one := range steps {
		sampled := begin.Add(time.Duration(10*one.number) * time.Hour)
		result := recordsv1.TestResult_TEST_RESULT_NEGATIVE
		if one.number == 1 {
			result = recordsv1.TestResult_TEST_RESULT_POSITIVE
		}
		record := &recordsv1.TestRecord{
			Region: region, SourceId: fmt.Sprintf("example-%d", one.number), Revision: int32(one.revision),
			PersonKey: append([]byte{1}, bytes.Repeat([]byte{byte(one.number % 3)}, 15)...),
			Content: &recordsv1.RecordContent{
				Kind: recordsv1.RecordKind_RECORD_KIND_RESULT, Result: result, Tube: recordsv1.Tube_TUBE_SINGLE,
				SampledAt: timestamppb.New(sampled), ReportedAt: timestamppb.New(sampled.Add(6 * time.Hour)),
				Laboratory: "430000-example", Site: "430102", Channel: recordsv1.Channel_CHANNEL_LABORATORY,
			},
			Action: one.action, Cause: one.cause,
			RecordedAt: timestamppb.New(begin.AddDate(0, 1, 0).Add(time.Duration(at) * time.Minute)),
		}
		changes = append(changes, &recordsv1.Change{
			Sequence: int64(at + 1), Change: &recordsv1.Change_Record{Record: record},
		})
	}
	return changes
}

func main() {
	listen := flag.String("listen", "127.0.0.1:7001", "where it is served")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	region := &store{fingerprint: []byte("8 bytes!"), changes: samples(), draining: make(chan struct{})}
	server := grpc.NewServer()
	recordsv1.RegisterRecordReadServiceServer(server, region)
	recordsv1.RegisterChangeFeedServiceServer(server, region)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-ended
		close(region.draining)
		server.GracefulStop()
	}()
	fmt.Println("serving at", listener.Addr())
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}
