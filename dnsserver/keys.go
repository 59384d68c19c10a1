package dnsserver

import (
	"context"
	"errors"
	"log/slog"

	"herald/dnsserver/skydns"
	"herald/registry/catalog"
	"herald/registry/plugin"
)

// keys follow the records of keyed zones in the store.
type keys struct {
	*skydns.Follower
	catalog *catalog.Catalog
	log     *slog.Logger
}

// followKeys follows nothing yet; it is nil if there are no keyed zones.
func followKeys(c *Config, h *plugin.Host) (*keys, error) {
	if len(c.SkyDNSZones) == 0 {
		return nil, nil
	}
	if h.Store == nil {
		return nil, errors.New("skydns_zones: this is an agent beside no server, which has no keys to answer from; set it on the servers, and have such names asked there")
	}
	prefix, err := skydns.ParsePrefix(c.SkyDNSPrefix)
	if err != nil {
		return nil, err
	}
	return &keys{skydns.NewFollower(h.Store, prefix, h.Log), h.Catalog, h.Log}, nil
}

// serve follows the keys until ctx ends. It begins when the catalog has been read, which waits until the store knows how much of its
// log counts: records that are in there must not be denied before.
func (k *keys) serve(ctx context.Context) error {
	if _, err := k.catalog.WaitRevision(ctx, 1); err != nil {
		return nil // ctx ended
	}
	if err := k.Follow(ctx); err != nil {
		// The records grow old, as the catalog does, and are answered from as long as those settings let them.
		k.log.Error("dns: SkyDNS records stay as they are", "err", err)
		<-ctx.Done()
	}
	return nil
}

func (k *keys) measure(m plugin.Metrics, f *freshness) {
	number := func(of func(*skydns.Tree) int64) func() float64 {
		return func() float64 {
			if t := k.Tree(); t != nil {
				return float64(of(t))
			}
			return 0
		}
	}
	m.Gauge("herald_dns_skydns_records", "How many SkyDNS records there are.", number(func(t *skydns.Tree) int64 { return int64(t.Len()) }))
	m.Gauge("herald_dns_skydns_revision", "Revision of the key-value space at which a SkyDNS record last changed.", number((*skydns.Tree).Revision))
	m.Gauge("herald_dns_skydns_refused", "How many keys below skydns_prefix are left out, since they are no names or their values no records.",
		func() float64 { return float64(k.Refused()) })
	m.Gauge("herald_dns_skydns_age_seconds", "How old the SkyDNS records that DNS answers from may be.", f.seconds)
}
