package httpserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

const (
	// rootKey is where the cluster's root certificate is kept, in registry.SpaceSystem.
	rootKey = "connect/root"
	// rootYears is how long the certificate is valid.
	rootYears = 20
)

var isPEM = []string{"application/pem-certificate-chain"}

// connectRoots is GET /v1/agent/connect/ca/roots: the cluster's one root, which clients
// take for a sign that the cluster works. It is made when it is first asked for. Nothing is
// signed with it, so its key was not kept. ?pem answers with the certificate alone.
func (s *surface) connectRoots(q *request) error {
	o, err := parseReadOptions(&q.query)
	if err != nil {
		return err
	}
	kv, age, err := s.root(q, o.mode)
	if err != nil {
		return err
	}
	s.readHeaders(q.header(), o.mode, index(kv.ModRevision), age)
	if v, ok := q.query.lookup("pem"); ok && v != "false" {
		q.header()["Content-Type"] = isPEM
		return q.body(http.StatusOK, kv.Value)
	}
	root, err := rootView(kv)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, api.CARoots{ActiveRootID: root.ID, TrustDomain: s.trustDomain(), Roots: []api.CARoot{*root}})
}

// root reads the certificate, which it makes if there is none.
func (s *surface) root(q *request, m mode) (*registry.KeyValue, time.Duration, error) {
	r := registry.RangeRequest{Space: registry.SpaceSystem, KeyRange: registry.One(rootKey)}
	res, err := s.read(q.r.Context(), m, r)
	if err != nil {
		return nil, 0, err
	}
	if len(res.KVs) == 0 {
		if err := s.makeRoot(q.caller(registry.ReasonClient)); err != nil {
			return nil, 0, err
		}
		r.Consistency = registry.Linearizable
		if res, err = s.store.Range(q.r.Context(), r); err != nil {
			return nil, 0, err
		}
		if len(res.KVs) == 0 {
			return nil, 0, errors.New("the root certificate was made, and is gone again")
		}
	}
	return &res.KVs[0], res.Age, nil
}

// makeRoot makes the cluster's certificate, unless somebody else has meanwhile.
func (s *surface) makeRoot(ctx context.Context) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	var serial [8]byte
	rand.Read(serial[:]) // never fails
	serial[0] &= 0x7f    // a serial number is positive
	now := time.Now().UTC()
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:]),
		Subject:      pkix.Name{CommonName: "Herald root " + s.datacenter},
		URIs:         []*url.URL{{Scheme: "spiffe", Host: s.trustDomain()}},
		NotBefore:    now.Add(-time.Minute), // clocks differ
		NotAfter:     now.AddDate(rootYears, 0, 0),
		KeyUsage:     x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	one := registry.One(rootKey)
	_, err = s.store.Txn(ctx, registry.Txn{
		Compare: []registry.Compare{{Space: registry.SpaceSystem, KeyRange: one, Target: registry.CompareCreate}},
		Then: []registry.Op{{Put: &registry.PutRequest{
			Space: registry.SpaceSystem, Key: rootKey, Value: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		}}},
	})
	return err
}

// trustDomain is the cluster's name among clusters.
func (s *surface) trustDomain() string {
	id := s.cluster.Status().ClusterID
	if id == "" {
		id = s.datacenter
	}
	return strings.ToLower(id) + ".consul"
}

func rootView(kv *registry.KeyValue) (*api.CARoot, error) {
	block, _ := pem.Decode(kv.Value)
	if block == nil {
		return nil, fmt.Errorf("root certificate: %w: it is not PEM", registry.ErrCorrupt)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("root certificate: %w: %w", registry.ErrCorrupt, err)
	}
	sum := sha256.Sum256(block.Bytes)
	return &api.CARoot{
		ID: colons(sum[:20]), Name: cert.Subject.CommonName, SerialNumber: binary.BigEndian.Uint64(cert.SerialNumber.FillBytes(make([]byte, 8))),
		SigningKeyID: colons(cert.SubjectKeyId), NotBefore: cert.NotBefore.Format(time.RFC3339), NotAfter: cert.NotAfter.Format(time.RFC3339),
		RootCert: string(kv.Value), Active: true, PrivateKeyType: "ec", PrivateKeyBits: 256,
		CreateIndex: index(kv.CreateRevision), ModifyIndex: index(kv.ModRevision),
	}, nil
}

// colons spells bytes as certificates' ids are spelled.
func colons(b []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% x", b), " ", ":")
}
