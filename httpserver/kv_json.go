package httpserver

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"herald/registry"
	"herald/registry/session"
)

// appendKV appends a key as api.KVPair has it in JSON. It is written by hand since
// reads of keys are the door's hottest path. With text it is as api.KVText has it.
func appendKV(b []byte, kv *registry.KeyValue, text bool) []byte {
	b = append(b, `{"LockIndex":`...)
	b = strconv.AppendUint(b, kv.Lock.Count, 10)
	b = append(b, `,"Key":`...)
	b = appendString(b, kv.Key)
	b = append(b, `,"Flags":`...)
	b = strconv.AppendUint(b, kv.Flags, 10)
	b = append(b, `,"Value":`...)
	switch {
	case text && utf8.Valid(kv.Value):
		b = appendString(b, string(kv.Value))
	case len(kv.Value) == 0:
		b = append(b, "null"...)
	default:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, kv.Value)
		b = append(b, '"')
		if text {
			b = append(b, `,"Encoding":"base64"`...)
		}
	}
	if kv.Lock.Holder != 0 {
		b = append(b, `,"Session":`...)
		b = appendString(b, string(session.IDOf(kv.Lock.Holder)))
	}
	b = append(b, `,"CreateIndex":`...)
	b = strconv.AppendInt(b, kv.CreateRevision, 10)
	b = append(b, `,"ModifyIndex":`...)
	b = strconv.AppendInt(b, kv.ModRevision, 10)
	return append(b, '}')
}

// sizeKV is about how many bytes appendKV appends.
func sizeKV(kv *registry.KeyValue) int {
	return 160 + len(kv.Key) + base64.StdEncoding.EncodedLen(len(kv.Value))
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD, one each, since JSON has no other way to carry them.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[done:i]...), "\ufffd"...)
				done = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
			i++
			continue
		}
		b = append(b, s[done:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, `\u00`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		done = i
	}
	return append(append(b, s[done:]...), '"')
}
