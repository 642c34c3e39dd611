// Command lag asks a cluster for the lag of a consumer group with franz-go's kadm, the code behind several lag exporters.
//
//	lag BOOTSTRAP GROUP PARTITIONS TOPIC...
//
// For each line on standard input it writes one line of JSON: {"lag": {"TOPIC": [LAG, ...]}}, or {"error": "..."}.
// It ends with its input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const patience = 10 * time.Second

type answer struct {
	Lag   map[string][]int64 `json:"lag,omitempty"`
	Error string             `json:"error,omitempty"`
}

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "usage: lag BOOTSTRAP GROUP PARTITIONS TOPIC...")
		os.Exit(2)
	}
	partitions, err := strconv.Atoi(os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(os.Args[1]), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer client.Close()
	admin, out := kadm.NewClient(client), json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		found, err := look(admin, os.Args[2], partitions, os.Args[4:])
		if err != nil {
			found = answer{Error: err.Error()}
		}
		if err := out.Encode(found); err != nil {
			os.Exit(1)
		}
	}
}

// look computes the lag as high watermark minus committed offset, or minus the first offset where none is committed.
func look(admin *kadm.Client, group string, partitions int, topics []string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	found, err := admin.Lag(ctx, group)
	if err != nil {
		return answer{}, err
	}
	described := found[group]
	if err := described.Error(); err != nil {
		return answer{}, err
	}
	lag := map[string][]int64{}
	for _, topic := range topics {
		for number := range partitions {
			of, known := described.Lag.Lookup(topic, int32(number))
			if !known {
				return answer{}, fmt.Errorf("%s[%d]: not in the group", topic, number)
			}
			if of.Err != nil {
				return answer{}, fmt.Errorf("%s[%d]: %w", topic, number, of.Err)
			}
			lag[topic] = append(lag[topic], of.Lag)
		}
	}
	return answer{Lag: lag}, nil
}
