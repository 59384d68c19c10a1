package grpcserver

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

// textPerByte is how many bytes of JSON a byte of a message may take: four for three in
// base64, and six for each of those if it is escaped.
const textPerByte = 8

// marshaler is how etcd's messages are written in JSON: names as in the protocol's
// definition, what is zero left out, what is not known ignored.
type marshaler struct {
	runtime.JSONPb
	maxText int // bytes of JSON that one message of a request may have
}

// newMarshaler is for messages of up to maxMessage bytes.
func newMarshaler(maxMessage int) *marshaler {
	return &marshaler{runtime.JSONPb{
		MarshalOptions:   protojson.MarshalOptions{UseProtoNames: true},
		UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: true},
	}, maxMessage * textPerByte}
}

// NewDecoder implements runtime.Marshaler. Each message that is decoded may be
// maxText long.
func (m *marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	bounded := &messageReader{from: r}
	decoder := m.JSONPb.NewDecoder(bounded)
	return runtime.DecoderFunc(func(v any) error {
		bounded.left = m.maxText
		return decoder.Decode(v)
	})
}

// messageReader reads so much and no more.
type messageReader struct {
	from io.Reader
	left int
}

// Read implements io.Reader.
func (m *messageReader) Read(b []byte) (int, error) {
	if m.left == 0 {
		return 0, rpctypes.ErrRequestTooLarge
	}
	n, err := m.from.Read(b[:min(len(b), m.left)])
	m.left -= n
	return n, err
}

// errorBody is how an error is told: as etcd 3.6 does, and with the key that clients
// written for 3.5 look into.
type errorBody struct {
	Error   string `json:"error"`
	Code    uint32 `json:"code"`
	Message string `json:"message"`
}

// answerError implements runtime.ErrorHandlerFunc.
func answerError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	s := status.Convert(err)
	w.Header().Del("Transfer-Encoding") // a stream that ends before it began
	answerJSON(w, runtime.HTTPStatusFromCode(s.Code()), errorBody{Error: s.Message(), Code: uint32(s.Code()), Message: s.Message()})
}

// answerJSON answers with a value.
func answerJSON(w http.ResponseWriter, code int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n')) // that nobody reads on is the client's business
}
