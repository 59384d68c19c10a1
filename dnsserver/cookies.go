package dnsserver

import (
	"encoding/binary"

	"herald/dnsserver/cookie"
)

// maxCookie is how long the COOKIE option of an answer is, with its code and length.
const maxCookie = 4 + cookie.Size

// newCookies keeps the secret that the settings give, or else one of its own: what it made is then worth nothing to
// other servers, and to this one after a restart, which costs a client one round.
func newCookies(c *Config) (*cookie.Keeper, error) {
	if !c.Cookies {
		return nil, nil
	}
	secret := cookie.NewSecret()
	if c.CookieSecret != "" {
		var err error
		if secret, err = cookie.ParseSecret(c.CookieSecret); err != nil {
			return nil, err
		}
	}
	return cookie.New(secret), nil
}

// readCookie takes the data of a COOKIE option, of which the first counts. It reports false if it is none.
func (e *edns) readCookie(data []byte) bool {
	_, _, ok := cookie.Split(data)
	if ok && len(e.cookie) == 0 {
		e.cookie = data
	}
	return ok
}

// answerCookie has the answer carry a server cookie, if the client sent a cookie of its own (RFC 7873 section 5.2).
func (r *responder) answerCookie(q *query) {
	e := &q.edns
	e.replySize = 0
	if r.cookies == nil || len(e.cookie) == 0 || !q.client.IsValid() {
		return
	}
	client, server, _ := cookie.Split(e.cookie)
	b := binary.BigEndian.AppendUint16(e.reply[:0], cookie.OptionCode)
	b = binary.BigEndian.AppendUint16(b, cookie.Size)
	if r.cookies.Check(client, server, q.client, q.now) == cookie.Good {
		b = append(b, e.cookie...)
	} else {
		b = r.cookies.Append(b, client, q.client, q.now)
	}
	e.replySize = uint8(len(b))
}
