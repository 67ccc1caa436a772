// Holds a slot and books it by mutual TLS. Every call has a deadline, and is repeated with the same
// reference or token until there is an answer.
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
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"example.com/yours/booking"
)

const timeout = 5 * time.Second

func main() {
	address := flag.String("address", "holds.example:443", "partner listener")
	caFile := flag.String("ca", "ca.pem", "authorities of its certificate")
	certFile := flag.String("cert", "me.pem", "certificate to show")
	keyFile := flag.String("key", "me.key", "its private key")
	start := flag.String("start", "2027-03-01T10:00:00Z", "start of the slot")
	flag.Parse()

	mutual, err := mutualTLS(*caFile, *certFile, *keyFile)
	if err != nil {
		log.Fatal(err)
	}
	connection, err := grpc.NewClient(*address, grpc.WithTransportCredentials(mutual))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	at, err := time.Parse(time.RFC3339, *start)
	if err != nil {
		log.Fatal(err)
	}
	slot := &booking.Slot{
		MerchantId: "salon-1",
		ServiceId:  "haircut",
		StartTime:  timestamppb.New(at),
		Duration:   durationpb.New(30 * time.Minute),
		Resources:  &booking.Resources{StaffId: "anna"},
	}
	if err := holdAndBook(booking.NewBookingServiceClient(connection), slot); err != nil {
		log.Fatal(err)
	}
}

func holdAndBook(service booking.BookingServiceClient, slot *booking.Slot) error {
	// Made before the first attempt, and the same for all: a repeat finds the lease whose answer
	// was lost, instead of a slot that is taken.
	wanted := &booking.CreateLeaseRequest{Lease: &booking.Lease{
		Slot:                slot,
		UserReference:       newName(),
		LeaseExpirationTime: timestamppb.New(time.Now().Add(5 * time.Minute)),
	}}
	held, err := untilAnswered(func(ctx context.Context) (*booking.CreateLeaseResponse, error) {
		return service.CreateLease(ctx, wanted)
	})
	if err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	if failure := held.GetBookingFailure(); failure != nil {
		return fmt.Errorf("not held: %v", failure.GetCause())
	}
	lease := held.GetLease()
	fmt.Println("held until", lease.GetLeaseExpirationTime().AsTime().Format(time.RFC3339))

	request := &booking.CreateBookingRequest{
		Slot:             slot,
		LeaseRef:         &booking.LeaseReference{LeaseId: lease.GetLeaseId()},
		IdempotencyToken: newName(),
		UserInformation: &booking.UserInformation{
			UserId:     "ada",
			GivenName:  "Ada",
			FamilyName: "Lovelace",
			Telephone:  "+44 20 7946 0000",
			Email:      "ada@example.com",
		},
	}
	booked, err := untilAnswered(func(ctx context.Context) (*booking.CreateBookingResponse, error) {
		return service.CreateBooking(ctx, request)
	})
	if err != nil {
		return fmt.Errorf("book: %w", err)
	}
	if failure := booked.GetBookingFailure(); failure != nil {
		return fmt.Errorf("not booked: %v", failure.GetCause())
	}
	fmt.Println("booked:", booked.GetBooking().GetBookingId())
	return nil
}

// untilAnswered asks again while that is safe and may help, and gives up after the timeout.
func untilAnswered[T any](ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	pause := 50 * time.Millisecond
	for {
		answer, err := ask(ctx)
		wait, again := retryDelay(err, pause)
		deadline, _ := ctx.Deadline()
		if err == nil || !again || time.Now().Add(wait).After(deadline) {
			return answer, err
		}
		time.Sleep(wait)
		if pause < time.Second {
			pause *= 2
		}
	}
}

// retryDelay tells whether nobody judged the request, and when to ask again: when the server says,
// or else after a pause.
func retryDelay(err error, pause time.Duration) (time.Duration, bool) {
	told := status.Convert(err)
	for _, detail := range told.Details() {
		if info, is := detail.(*errdetails.RetryInfo); is {
			switch told.Code() {
			case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
				return info.GetRetryDelay().AsDuration(), true
			}
		}
	}
	// Our own context is asked about by the caller of this, so a call that is canceled was so by a
	// process that ends.
	return pause, told.Code() == codes.Unavailable || told.Code() == codes.Canceled
}

func mutualTLS(caFile, certFile, keyFile string) (credentials.TransportCredentials, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	authorities, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("%s: no certificate in it", caFile)
	}
	return credentials.NewTLS(&tls.Config{
		RootCAs:      roots,
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
	}), nil
}

func newName() string {
	name := make([]byte, 16)
	if _, err := rand.Read(name); err != nil {
		log.Fatal(err)
	}
	return fmt.Sprintf("%x", name)
}
