package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// run makes all comparisons and writes them to out as they come, and to the JSON file at the end. What it does meanwhile it
// says on progress.
func run(ctx context.Context, s *settings, out, progress io.Writer) error {
	if s.dir == "" {
		s.dir = os.TempDir()
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	r, err := newReport(ctx, s)
	if err != nil {
		return err
	}
	r.writeHead(out)
	var failed error
	for _, nodes := range s.nodes {
		for _, w := range s.works {
			if failed = errors.Join(failed, r.compareWork(ctx, s, w, nodes, out, progress)); ctx.Err() != nil {
				return errors.Join(failed, r.save(s.json))
			}
		}
	}
	return errors.Join(failed, r.save(s.json))
}

// compareWork starts a cluster of each peer and compares them in all sizes of one work.
func (r *report) compareWork(ctx context.Context, s *settings, w work, nodes int, out, progress io.Writer) (err error) {
	var clusters []*cluster
	defer func() {
		for _, c := range clusters {
			err = errors.Join(err, c.end())
		}
	}()
	for _, p := range s.peers {
		c, err := startCluster(ctx, s, p, nodes)
		if err != nil {
			return err
		}
		clusters = append(clusters, c)
		if err := w.prepare(ctx, c, s); err != nil {
			return fmt.Errorf("%s, %s of %d: %w", w.name(), p.name, nodes, err)
		}
	}
	for _, size := range w.sizes(s) {
		c, err := compareRounds(ctx, s, w, clusters, size, progress)
		if err != nil {
			return err
		}
		c.Nodes = nodes
		r.Comparisons = append(r.Comparisons, c)
		c.write(out)
		if c.missing > 0 {
			return fmt.Errorf("%s of %d: %d deliveries are lost", w.name(), size, c.missing)
		}
	}
	return nil
}

// compareRounds has the clusters take turns.
func compareRounds(ctx context.Context, s *settings, w work, clusters []*cluster, size int, progress io.Writer) (comparison, error) {
	made := comparison{Work: w.name(), Clients: size}
	rounds := make([][][]figure, len(clusters))
	turns := s.rounds
	if _, once := w.(fillWork); once {
		turns = 1
	}
	for n := range turns {
		for p, c := range clusters {
			fmt.Fprintf(progress, "%s of %d, %d nodes, round %d of %d: %s\n", w.name(), size, len(c.servers), n+1, turns, c.peer)
			got, err := oneRound(ctx, s, w, c, size)
			if err != nil {
				return made, fmt.Errorf("%s of %d, %s of %d: %w", w.name(), size, c.peer, len(c.servers), err)
			}
			rounds[p] = append(rounds[p], got.figures)
			made.missing += got.missing
			for _, note := range got.notes {
				made.Notes = append(made.Notes, fmt.Sprintf("%s, round %d: %s", c.peer, n+1, note))
			}
		}
	}
	made.Rows = compare(rounds)
	return made, nil
}

// oneRound notes an election in the middle of a round, which is then not one of what it seems to be.
func oneRound(ctx context.Context, s *settings, w work, c *cluster, size int) (result, error) {
	before, err := c.lead(ctx)
	if err != nil {
		return result{}, err
	}
	got, err := w.round(ctx, c, s, size)
	if err != nil {
		return result{}, err
	}
	after, err := c.lead(ctx)
	if err != nil {
		return result{}, err
	}
	if before.term != after.term {
		got.notes = append(got.notes, "an election in the middle of it")
	}
	return got, nil
}
