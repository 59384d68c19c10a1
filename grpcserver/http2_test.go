package grpcserver

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	"herald/registry/plugin"
	"herald/registry/storetest"
)

// rawClient speaks HTTP/2 frame by frame, as clients do that gRPC's own is too careful
// to play.
type rawClient struct {
	t *testing.T
	*http2.Framer
	next uint32 // stream
}

func newRawClient(t *testing.T, c net.Conn) *rawClient {
	t.Helper()
	r := &rawClient{t: t, Framer: http2.NewFramer(c, c), next: 1}
	r.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return r
}

// call sends a call with one message.
func (r *rawClient) call(method string, m proto.Message, header ...string) {
	r.t.Helper()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	fields := append([]string{":method", "POST", ":scheme", "http", ":path", method, ":authority", "h",
		"content-type", "application/grpc", "te", "trailers"}, header...)
	for i := 0; i < len(fields); i += 2 {
		if err := enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := r.WriteHeaders(http2.HeadersFrameParam{StreamID: r.next, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
		r.t.Fatal(err)
	}
	b, err := proto.Marshal(m)
	if err != nil {
		r.t.Fatal(err)
	}
	message := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b)))
	if err := r.WriteData(r.next, true, append(message, b...)); err != nil {
		r.t.Fatal(err)
	}
	r.next += 2
}

// status reads until a call has ended, and returns how.
func (r *rawClient) status() (code, message string) {
	r.t.Helper()
	for {
		f, err := r.ReadFrame()
		if err != nil {
			r.t.Fatal(err)
		}
		h, ok := f.(*http2.MetaHeadersFrame)
		if !ok || !h.StreamEnded() {
			continue
		}
		for _, f := range h.RegularFields() {
			switch f.Name {
			case "grpc-status":
				code = f.Value
			case "grpc-message":
				message = f.Value
			}
		}
		return code, message
	}
}

func TestMetadataThatIsNotText(t *testing.T) {
	h := open(t)
	r := newRawClient(t, h.dial())
	get := &pb.RangeRequest{Key: []byte("a")}
	const method = "/etcdserverpb.KV/Range"
	r.call(method, get, "client-api-version", "3.\xff")
	if code, text := r.status(); code != "3" || text != "etcdserver: invalid client api version" {
		t.Errorf("a version that is not UTF-8: %s %q", code, text)
	}
	r.call(method, get, "client-api-version", "3.7.0", "hasleader", "true")
	if code, text := r.status(); code != "0" {
		t.Errorf("a version that is: %s %q", code, text)
	}
	r.call("/etcdserverpb.KV/NoSuch", get)
	if code, text := r.status(); code != "12" {
		t.Errorf("no such call: %s %q", code, text)
	}
}

// pinged lets a client with one open stream ping at an interval, for a while, and returns
// what the server sent it away with, "" if it did not.
func pinged(t *testing.T, every time.Duration) (goAway string, acks int) {
	store := storetest.NewMemory(t)
	c := newCore(DefaultConfig(), &plugin.Host{Store: store, Cluster: store, Log: slog.New(slog.DiscardHandler)})
	defer c.stop(nil)
	s := newServer(c)
	l := newHandedOn(gatewayAddr{})
	go s.Serve(l)
	defer s.Stop()
	client, server := net.Pipe()
	defer client.Close()
	if err := l.hand(t.Context(), server); err != nil {
		t.Fatal(err)
	}

	type seen struct {
		goAway string
		acks   int
	}
	read := make(chan seen, 1)
	f := http2.NewFramer(nil, client)
	go func() {
		var s seen
		defer func() { read <- s }()
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.PingFrame:
				if frame.IsAck() {
					s.acks++
				}
			case *http2.GoAwayFrame:
				s.goAway = fmt.Sprint(frame.ErrCode, " ", string(frame.DebugData()))
			}
		}
	}()
	r := newRawClient(t, client)
	r.call("/grpc.health.v1.Health/Watch", &healthpb.HealthCheckRequest{})
	for range 20 {
		time.Sleep(every)
		if r.WritePing(false, [8]byte{1}) != nil {
			break
		}
	}
	synctest.Wait()
	client.Close()
	got := <-read
	return got.goAway, got.acks
}

func TestPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if goAway, acks := pinged(t, minPingInterval); goAway != "" || acks != 20 {
			t.Errorf("pings every %v: %q, %d were answered", minPingInterval, goAway, acks)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		goAway, _ := pinged(t, minPingInterval/5)
		if goAway != "ENHANCE_YOUR_CALM too_many_pings" {
			t.Errorf("pings every %v: %q", minPingInterval/5, goAway)
		}
	})
}
