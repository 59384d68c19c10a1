package api

// CARoots is the certificates that those who sign for services are known by.
type CARoots struct {
	ActiveRootID string
	TrustDomain  string
	Roots        []CARoot
}

// CARoot is one of CARoots.
type CARoot struct {
	ID                  string // of the certificate's bytes
	Name                string
	SerialNumber        uint64
	SigningKeyID        string
	ExternalTrustDomain string
	NotBefore           string // RFC 3339
	NotAfter            string
	RootCert            string // PEM
	IntermediateCerts   []string
	Active              bool
	PrivateKeyType      string
	PrivateKeyBits      int
	CreateIndex         uint64
	ModifyIndex         uint64
}
